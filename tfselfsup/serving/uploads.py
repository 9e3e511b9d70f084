"""Files that clients upload as HTML forms do: multipart/form-data (RFC 7578)."""

from __future__ import annotations

from python_multipart import FormParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, parse_options_header

from tfselfsup.serving.payloads import Refused

KIND = "multipart/form-data"


def files(body: bytes, content_type: str, most: int) -> list[bytes]:
    """Reads the files of a form.

    Args:
        body: Of the request.
        content_type: Its header, with the boundary.
        most: Files that are allowed.

    Returns:
        Their contents, in the order in which they were sent.

    Raises:
        Refused: If the body is something else, was cut off, or holds no files, too many, or a field
            without a file name, whose image would be missing from the answers.
    """
    _, options = parse_options_header(content_type)
    found: list[bytes] = []
    ended: list[bool] = []

    def take(file: File) -> None:
        if len(found) == most:
            raise Refused(400, f"expected 1 to {most} files, got more")
        file.file_object.seek(0)
        found.append(file.file_object.read())

    def refuse(field: Field) -> None:
        # At once: a body full of empty fields would take long to read to its end.
        name = (field.field_name or b"").decode(errors="replace")
        raise Refused(
            400,
            f"expected files, got the field {name!r} without a file name; with curl: "
            "-F image=@FILE",
        )

    try:
        parser = FormParser(
            KIND,
            refuse,
            take,
            on_end=lambda: ended.append(True),
            boundary=options.get(b"boundary"),
            config={"MAX_MEMORY_FILE_SIZE": len(body) + 1},  # all in memory: the body is as well
        )
        parser.write(body)
        parser.finalize()
    # The parser asserts that a part has headers.
    except (FormParserError, AssertionError) as error:
        raise Refused(400, f"expected files as {KIND}, got a body that is not") from error
    if not ended:
        raise Refused(400, f"expected files as {KIND}, got a body that was cut off")
    if not found:
        raise Refused(400, "expected files, got none; with curl: -F image=@FILE")
    return found
