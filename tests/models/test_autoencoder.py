"""The whole model: every combination of parts, what flows through it and what must not."""

from itertools import product

import pytest
import torch
from torch import nn

from lstm_ae.data.sequence_data import Sequences
from lstm_ae.training.objective import Objective
from tests.models.parts import DECODERS, HEADS, make_autoencoder

COMBINATIONS = list(product(DECODERS, (None, *HEADS), (1, 2), (False, True)))


def gradients(model, reconstruction_weight=0.5, length=5, features=3):
    batch = Sequences(torch.rand(8, length, features), torch.arange(8) % 4)
    Objective(reconstruction_weight)(model(batch.inputs), batch)["loss"].backward()
    return {name: 0.0 if p.grad is None else p.grad.abs().max().item() for name, p in model.named_parameters()}


@pytest.mark.parametrize(("decoder", "head", "num_layers", "bidirectional"), COMBINATIONS)
def test_shapes_and_gradients_of_every_combination(decoder, head, num_layers, bidirectional):
    torch.manual_seed(0)
    model = make_autoencoder(decoder, head, num_layers=num_layers, bidirectional=bidirectional)
    for batch in (1, 8):
        output = model(torch.rand(batch, 5, 3))
        assert output.context.shape == (batch, 12 if bidirectional else 6)
        assert output.reconstruction.shape == (batch, 5, 3)
        assert output.logits is None if head is None else output.logits.shape == (batch, 4)
    still = {name for name, largest in gradients(model, 1.0 if head is None else 0.5).items() if largest == 0}
    # This decoder's LSTM reads zeros, so the first layer's input weights have nothing to do.
    assert still == ({"decoder.lstm.weight_ih_l0"} if decoder == "initial_state" else set())


@pytest.mark.parametrize(("length", "features"), [(1, 1), (1, 4), (30, 1), (4, 28)])
@pytest.mark.parametrize("decoder", DECODERS)
def test_any_length_and_number_of_features(decoder, length, features):
    model = make_autoencoder(decoder, "decoder", length=length, features=features)
    for training in (True, False):
        output = model.train(training)(torch.rand(3, length, features))
        assert output.reconstruction.shape == (3, length, features)
        assert output.logits.shape == (3, 4)


@pytest.mark.parametrize(("decoder", "head"), list(product(DECODERS, HEADS)))
def test_sequences_of_a_batch_do_not_mix(decoder, head):
    model, inputs = make_autoencoder(decoder, head, num_layers=2, bidirectional=True).eval(), torch.rand(5, 5, 3)
    together, alone = model(inputs), model(inputs[2:3])
    torch.testing.assert_close(together.context[2:3], alone.context)
    torch.testing.assert_close(together.reconstruction[2:3], alone.reconstruction)
    torch.testing.assert_close(together.logits[2:3], alone.logits)


@pytest.mark.parametrize("decoder", DECODERS)
def test_in_evaluation_all_of_the_input_goes_through_the_context(decoder):
    model, inputs = make_autoencoder(decoder, "context").eval(), torch.rand(2, 5, 3)
    output = model(inputs)
    from_context = model.decoder(output.context, torch.zeros_like(inputs)).reconstruction
    torch.testing.assert_close(output.reconstruction, from_context)
    torch.testing.assert_close(output.logits, model.head.scores(output.context))


def test_decoder_head_reads_the_last_state_of_the_decoder():
    model, inputs = make_autoencoder("repeat_context", "decoder", reverse=True).eval(), torch.rand(2, 5, 3)
    decoding = model.decoder(model.encoder(inputs).context, inputs)
    torch.testing.assert_close(model(inputs).logits, model.head.scores(decoding.last_state))


def test_separate_classifier_shares_nothing_with_the_autoencoder():
    model = make_autoencoder(head="separate")
    own = {p.data_ptr() for p in model.head.parameters()}
    others = [*model.encoder.parameters(), *model.decoder.parameters()]
    assert own.isdisjoint(p.data_ptr() for p in others)
    assert not torch.equal(model.head.encoder.lstm.weight_hh_l0, model.encoder.lstm.weight_hh_l0)
    alone = gradients(model, reconstruction_weight=0.0)  # the class alone teaches the head alone
    assert all((largest > 0) == name.startswith("head.") for name, largest in alone.items())
    model.zero_grad()
    alone = gradients(model, reconstruction_weight=1.0)
    assert all((largest > 0) == (not name.startswith("head.")) for name, largest in alone.items())


def test_the_shared_classifier_teaches_the_encoder():
    alone = gradients(make_autoencoder(head="context"), reconstruction_weight=0.0)
    assert all((largest > 0) == (not name.startswith("decoder.")) for name, largest in alone.items())


@pytest.mark.parametrize("head", HEADS)
def test_hidden_layers_of_a_head(head):
    model = make_autoencoder(head=head, hidden_layers=[7, 5])
    sizes = [(m.in_features, m.out_features) for m in model.head.scores if isinstance(m, nn.Linear)]
    assert sizes == [(6, 7), (7, 5), (5, 4)]
    assert sum(isinstance(module, nn.ReLU) for module in model.head.scores) == 2
    assert isinstance(model.head.scores[-1], nn.Linear)  # scores are open-ended
    assert model(torch.rand(2, 5, 3)).logits.shape == (2, 4)


@pytest.mark.parametrize("field", ["context", "reconstruction", "logits"])
def test_dropout_acts_while_training_only(field):
    model, inputs = make_autoencoder(head="separate", num_layers=2, dropout=0.5), torch.rand(2, 5, 3)
    assert not torch.equal(getattr(model(inputs), field), getattr(model(inputs), field))
    model.eval()
    assert torch.equal(getattr(model(inputs), field), getattr(model(inputs), field))


def test_dropout_of_the_head_alone():
    model, inputs = make_autoencoder(head="context", dropout=0.5), torch.rand(2, 5, 3)
    one, two = model(inputs), model(inputs)
    assert torch.equal(one.reconstruction, two.reconstruction)  # one layer: nothing between layers
    assert not torch.equal(one.logits, two.logits)
