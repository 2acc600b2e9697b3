"""What outputs mean, step by step: the numbers of a link are made once, for predicting and training alike."""

import torch

from comp.vision.model.link import Link


def test_training_may_use_the_numbers_that_a_prediction_has_made():
    link = Link("grade", 1, (1.25,), (0.75,), (0.0, 1.0, 3.0))
    with torch.inference_mode():
        predicted = link.predictions(torch.tensor([[-0.5], [1.0]]))
    outputs = torch.tensor([[-0.5], [1.0]], requires_grad=True)
    learned = link.predictions(outputs)
    assert torch.equal(learned.detach(), predicted)
    learned[:, 0].sum().backward()
    assert torch.equal(outputs.grad, torch.tensor([[-0.75], [0.0]]))
    encoded = link.encode(learned.detach().double())
    assert encoded.dtype == torch.float64
    torch.testing.assert_close(encoded.float(), outputs.detach())
