from typing import Any

class NewPassManager:
    def _dispose(self: Any) -> None: ...
