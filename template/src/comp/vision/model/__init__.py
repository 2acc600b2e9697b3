"""The network: a backbone (`build`), its weights (`weights`) and a head (`heads`)."""

from comp.vision.model.build import Classifier, build_model, load_checkpoint, load_weights, save_checkpoint

__all__ = ["Classifier", "build_model", "load_checkpoint", "load_weights", "save_checkpoint"]
