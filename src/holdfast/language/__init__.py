"""Language models: answered by an OpenAI-compatible server, such as vLLM, that runs elsewhere."""

from holdfast.language._backend import Backend, Passed
from holdfast.language._errors import AnsweredElsewhere, LanguageUnavailable

__all__ = ["AnsweredElsewhere", "Backend", "LanguageUnavailable", "Passed"]
