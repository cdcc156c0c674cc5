"""A last layer that computes the first token only has the logits and gradients of one that computes all tokens."""

import copy

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from compaware.components.core.models.first_token import use_first_token_only
from tests.families.models import MODELS, SMALL, classifier

# The others' last layers have another form, or their heads read other tokens than the first.
CHANGED = {"bert", "distilbert", "electra", "roberta", "xlm-roberta"}


@pytest.mark.parametrize("family", MODELS)
def test_logits_and_gradients_stay_the_same(family: str) -> None:
    plain = classifier(family)
    changed = copy.deepcopy(plain)
    assert use_first_token_only(changed) == (family in CHANGED)
    ids, mask = torch.randint(5, 50, (4, 12)), torch.ones(4, 12, dtype=torch.int64)
    mask[2, 6:], ids[2, 6:] = 0, 1
    answers = [model(input_ids=ids, attention_mask=mask).logits for model in (plain, changed)]
    torch.testing.assert_close(answers[1], answers[0])
    for answer in answers:
        answer.square().sum().backward()
    gradients = {name: weight.grad for name, weight in changed.named_parameters()}
    for name, weight in plain.named_parameters():
        torch.testing.assert_close(gradients[name], weight.grad, msg=name)


def test_the_last_layer_computes_one_token() -> None:
    model = classifier("bert")
    seen: list[torch.Size] = []
    model.bert.encoder.layer[-1].intermediate.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape))
    use_first_token_only(model)
    model(input_ids=torch.ones(2, 9, dtype=torch.int64))
    assert seen[-1] == (2, 1, 32)


def test_a_model_whose_head_reads_all_tokens_is_not_changed() -> None:
    class MeanPooler(torch.nn.Module):
        def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
            return hidden_states.mean(dim=1)

    model = classifier("bert")
    model.bert.pooler = MeanPooler()
    ids = torch.arange(18).reshape(2, 9)
    before = model(input_ids=ids).logits
    assert not use_first_token_only(model)
    torch.testing.assert_close(model(input_ids=ids).logits, before)


@pytest.mark.parametrize("family", ["convbert", "mobilebert"])
def test_a_layer_with_only_the_module_names_of_bert_is_not_changed(family: str) -> None:
    config = {**SMALL, "embedding_size": 32, "intra_bottleneck_size": 32, "true_hidden_size": 32, "vocab_size": 50}
    model = AutoModelForSequenceClassification.from_config(AutoConfig.for_model(family, **config)).eval()
    ids = torch.arange(18).reshape(2, 9)
    before = model(input_ids=ids).logits
    assert not use_first_token_only(model)
    torch.testing.assert_close(model(input_ids=ids).logits, before)
