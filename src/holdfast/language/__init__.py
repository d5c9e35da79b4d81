"""Language models: answered by an OpenAI-compatible server, such as vLLM, that runs elsewhere."""

from holdfast.language._backend import Backend, LanguageUnavailable, Passed

__all__ = ["Backend", "LanguageUnavailable", "Passed"]
