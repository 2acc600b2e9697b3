"""The configuration: what inherits, what overrides, and what is refused in which words."""

import pytest

from comp.config import load_config, to_yaml
from comp.errors import CompError
from comp.tasks import imported, tasks_here


@pytest.fixture
def load(repo, small):
    """`load("key: value", "other=1")`: that text as exp.yaml of the task, with overrides."""

    def write_and_load(text, *overrides, **bases):
        for name, base in bases.items():
            (repo / f"{name}.yaml").write_text(base, encoding="utf-8")
        (repo / "exp.yaml").write_text(text, encoding="utf-8")
        return load_config(repo / "exp.yaml", [f"task={small.task}", *overrides])

    return write_and_load


@pytest.fixture
def refusal(load):
    """The message with which such a configuration is refused."""

    def message(text, *overrides, **bases):
        with pytest.raises(CompError) as refused:
            load(text, *overrides, **bases)
        return str(refused.value)

    return message


def test_an_empty_file_gives_the_defaults(load, small):
    assert load("") == imported(tasks_here()[small.task].schema)(task=small.task)


def test_what_stands_in_the_file_wins_over_its_base_key_by_key(load):
    config = load("base: a.yaml\ntrain: {lr: 0.5}", a="train: {lr: 0.1, epochs: 7}\nseed: 3")
    assert (config.train.lr, config.train.epochs, config.seed) == (0.5, 7, 3)


def test_a_base_may_have_a_base(load):
    config = load("base: a.yaml", a="base: b.yaml\nseed: 2", b="seed: 1\nmetric: mine")
    assert (config.seed, config.metric) == (2, "mine")


def test_a_base_is_found_beside_the_file_that_names_it(repo, load):
    (repo / "recipes").mkdir()
    (repo / "recipes" / "one.yaml").write_text("base: two.yaml")
    (repo / "recipes" / "two.yaml").write_text("seed: 5")
    assert load("base: recipes/one.yaml").seed == 5


def test_a_list_of_the_base_is_replaced_not_joined(load):
    assert load("base: a.yaml\nmetrics: [one]", a="metrics: [two, three]").metrics == ["one"]


def test_a_missing_base_is_named_with_the_file_that_asks_for_it(refusal):
    message = refusal("base: nowhere.yaml")
    assert "exp.yaml: base: nowhere.yaml does not exist" in message


def test_bases_in_a_circle_are_refused(refusal):
    assert "circle" in refusal("base: a.yaml", a="base: exp.yaml")


def test_an_override_wins_over_the_file(load):
    assert load("train: {epochs: 3, batch_size: 4}", "train.epochs=9").train.epochs == 9
    assert load("train: {epochs: 3, batch_size: 4}", "train.epochs=9").train.batch_size == 4


def test_folds_in_brackets_choose_which_are_trained(load):
    config = load("folds: {n: 3}", "folds=[0,2]")
    assert (config.folds.use, config.folds.n) == ([0, 2], 3)


@pytest.mark.parametrize("text", ["1e-4", "1.0e-4", "0.0001"])
def test_a_learning_rate_is_a_number_however_it_is_written(load, text):
    assert load("", f"train.lr={text}").train.lr == 1e-4
    assert load(f"train: {{lr: {text}}}").train.lr == 1e-4


def test_an_override_may_hold_an_equals_sign_and_non_ascii(load):
    assert load("", "data.root=größe=1").data.root == "größe=1"


@pytest.mark.parametrize("text", ["1.10", "1e-4", "0x10", "007", "true"])
def test_names_on_the_command_line_are_taken_as_they_stand(load, text):
    config = load("parent: a", f"name={text}", f"parent={text}")
    assert (config.name, config.parent) == (text, text)
    assert load(f'members: [{{name: "{text}"}}]', f"member={text}").name == f"baseline-{text}"
    assert load("parent: a", "parent=null").parent is None


@pytest.mark.parametrize("text", ["name: 1.10", "parent: 1e-4", "blend: {members: [1.10]}"])
def test_a_name_in_a_file_that_would_become_a_number_is_refused(refusal, text):
    """1.10 would be the run 1.1."""
    message = refusal(text)
    assert message.startswith("exp.yaml: ") or "/exp.yaml: " in message
    assert 'quote a name that looks like one, such as name: "1.10"' in message


def test_a_tilde_is_the_home_folder_as_in_a_shell(repo, load, monkeypatch):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(repo))
    data = load("data: {work: ~/work, solution: ~/solution.csv}", "data.root=~/demo", "data.train=~/train").data
    paths = (data.root, data.work, data.train, data.solution)
    assert paths == tuple(f"{repo}/{name}" for name in ("demo", "work", "train", "solution.csv"))
    assert data.model_dump()["work"] == "~/work"  # a run that is read on another machine, or sent to Kaggle


def test_a_configuration_that_does_not_come_first_is_told_where_it_belongs(refusal):
    expected = "'conf/large.yaml': one configuration file, and it comes first, before any key=value"
    assert refusal("", "name=large", "conf/large.yaml") == expected


def test_null_takes_a_value_of_the_base_back(load):
    assert load("base: a.yaml\ntrain: {clip_norm: null}", a="train: {clip_norm: 1.0}").train.clip_norm is None


def test_an_unknown_key_is_refused_with_its_file_and_the_nearest_key(refusal):
    message = refusal("train: {epoch: 3}")
    assert "exp.yaml: unknown key 'train.epoch': did you mean 'train.epochs'?" in message


def test_an_unknown_key_is_laid_to_the_base_that_holds_it(refusal):
    message = refusal("base: a.yaml\ntrain: {epochs: 3}", a="train: {batchsize: 3}")
    assert "a.yaml: unknown key 'train.batchsize': did you mean 'train.batch_size'?" in message
    assert "exp.yaml" not in message


def test_an_unknown_key_on_the_command_line_is_refused_as_such(refusal):
    assert refusal("", "trian.lr=1") == "the command line: unknown key 'trian': did you mean 'train'?"


def test_a_key_in_the_wrong_section_is_told_where_it_belongs(refusal):
    assert "did you mean 'train.epochs'?" in refusal("data: {epochs: 64}")
    assert "did you mean 'train.lr'?" in refusal("", "lr=0.1")


def test_a_key_like_no_other_is_told_the_known_ones(refusal):
    message = refusal("folds: {xyzzy: 1}")
    assert "known here: n, " in message


def test_a_wrong_type_is_refused_with_file_key_and_value(refusal):
    message = refusal("train: {epochs: many}")
    assert "exp.yaml: train.epochs: " in message
    assert "integer" in message
    assert "'many'" in message


def test_a_wrong_type_on_the_command_line_is_refused_as_such(refusal):
    assert refusal("train: {epochs: 3}", "train.epochs=many").startswith("the command line: train.epochs: ")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("folds: {n: 1}", "folds.n"),
        ("train: {lr: -1}", "train.lr"),
        ("folds: {kind: stratfied}", "folds.kind"),
        ("train: {keep: first}", "train.keep"),
        ("train: 5", "train"),
        ("name: a/b", "name"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_its_key(refusal, text, key):
    message = refusal(text)
    assert f"exp.yaml: {key}: " in message
    assert "\n" not in message


def test_every_fault_gets_a_line(refusal):
    lines = refusal("train: {epoch: 3}\nseed: x").splitlines()
    assert len(lines) == 2


def test_broken_yaml_is_refused_with_file_and_line(refusal):
    assert "exp.yaml line 3: not valid YAML" in refusal("seed: 1\ntrain:\n\tlr: 1\n")


def test_a_file_that_is_no_mapping_is_refused(refusal):
    assert "exp.yaml: expected `key: value` lines, found list" in refusal("- 1\n- 2")


def test_a_file_that_is_not_utf_8_is_refused(repo):
    (repo / "exp.yaml").write_bytes("name: größe".encode("latin-1"))
    with pytest.raises(CompError, match=r"exp\.yaml: not UTF-8"):
        load_config(repo / "exp.yaml")


def test_a_missing_file_is_named(repo):
    with pytest.raises(CompError, match=r"exp\.yaml does not exist"):
        load_config(repo / "exp.yaml")


def test_the_printed_configuration_loads_to_the_same(repo, load, comp, small):
    config = load("base: a.yaml\nname: größe\ntrain: {lr: 1e-5, early_stop: {patience: 2}}", a="folds: {use: [1]}")
    status, printed, _ = comp("config", "exp.yaml", f"task={small.task}")
    (repo / "printed.yaml").write_text(printed, encoding="utf-8")
    assert status == 0
    assert load_config(repo / "printed.yaml") == config
    assert printed == to_yaml(config)


def test_a_step_that_is_no_command_is_refused_with_the_nearest(refusal):
    assert "exp.yaml: steps: 'trian' is not a step of the task" in refusal("steps: [split, trian]")
    assert "did you mean 'train'?" in refusal("steps: [split, trian]")


def test_without_a_task_it_is_the_only_one_of_the_repository(repo, small, monkeypatch):
    (repo / "exp.yaml").write_text("seed: 3", encoding="utf-8")
    monkeypatch.setattr("comp.tasks.tasks_here", lambda: {small.task: tasks_here()[small.task]})
    assert load_config(repo / "exp.yaml").task == small.task


def test_an_unknown_task_is_refused_with_those_there_are(refusal):
    told = refusal("", "task=knitting")
    assert told == f"task: 'knitting' is not a task of this repository: {', '.join(tasks_here())}"
