"""Tiny readers of random weights on OpenVINO, beside the same on transformers."""

from vecspeak.engines.openvino import OpenVINOEngine
from vecspeak.engines.prepared import LightAdapter, open_prepared_folder, write_prepared


def light_adapter(adapter):
    """The adapter's arrays for NumPy."""
    return LightAdapter(
        arrays={name: value.numpy() for name, value in adapter.state_dict().items()},
        num_soft_tokens=adapter.config.num_soft_tokens,
        token_norm=adapter.config.token_norm,
    )


def prepared(reader, folder, *, quantized=False):
    """The reader prepared in a new folder; in float32 unless quantized, so that it answers as transformers does."""
    folder.mkdir()
    write_prepared(reader, folder, quantized=quantized)
    return open_prepared_folder(folder, light_adapter(reader.adapter), reader.chat)


def rounded(reader):
    """The reader with weights that float16 holds: token embeddings are kept in it."""
    reader.language_model.bfloat16().float()
    return reader


def engine(reader, folder, *, quantized=False):
    """An engine of the reader, which is rounded on the way."""
    return OpenVINOEngine(prepared(rounded(reader), folder, quantized=quantized))
