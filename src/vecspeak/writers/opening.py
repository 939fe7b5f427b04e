"""Opening a writer: an address, or a folder on this machine."""

from vecspeak.engines import AUTO
from vecspeak.errors import UserError
from vecspeak.writers.base import Writer


def open_writer(
    address_or_folder: str,
    model: str = "",
    *,
    key: str = "",
    share_texts: bool = False,
    timeout: float = 120.0,
    concurrency: int = 4,
    engine: str = AUTO,
    download: bool = False,
) -> Writer:
    """The writer at an OpenAI-compatible address, called `model` there, or a language model on this machine.

    That is a Hugging Face folder, a GGUF file, or a name of the hub, which `download` fetches where it is not here. The
    key is sent to that address alone. Raises UserError for an address without a model, and for no model there.
    """
    if address_or_folder.startswith(("http://", "https://")):
        from vecspeak.llm_client import Endpoint
        from vecspeak.writers.remote import RemoteWriter

        if not model:
            raise UserError(
                "no model is given to write at that address", "add `model=NAME`, as it is called there"
            )
        place = Endpoint(url=address_or_folder, model=model, key=key, timeout=timeout, option="writer")
        return RemoteWriter(place, share_texts=share_texts, concurrency=concurrency)
    from vecspeak.model.pretrained import download_model
    from vecspeak.writers.local import LocalWriter

    if download:
        download_model(address_or_folder)
    return LocalWriter(address_or_folder, share_texts=share_texts, engine=engine)
