"""The homepage appliance, from a branch of a git repository: what is pushed is served. It needs dulwich (pip install dulwich).

    python examples/gitpage.py SPEC REPOSITORY[@BRANCH] NAME [CERTIFICATE KEY]
    python examples/gitpage.py 'tap:tap0?host=10.79.0.1/24&address=10.79.0.2/24' site.git@main www.example

No work tree is needed, and none is looked at. The objects of a tree name each other by their hashes, so nothing leads out of it,
and the hash of a file is its entity tag. Links and submodules are not followed.
"""

import stat
import sys

from dulwich.objects import Blob, Tree
from dulwich.repo import Repo
from homepage import main

import netstack
from netstack.http import HttpError, Request, Response
from netstack.http.conditional import precondition
from netstack.http.serve.files import content_type
from netstack.http.serve.folder import join_path, split_path
from netstack.runtime.aside import aside

INDEX = "index.html"


class GitBranch:
    """A handler for the files of `branch`, as they are when they are asked for."""

    def __init__(self, repository: str, branch: str = "main") -> None:
        self._repo = Repo(repository)
        self._branch = b"refs/heads/" + branch.encode()

    def close(self) -> None:
        self._repo.close()

    async def __call__(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            raise HttpError(405, "Allowed: GET, HEAD.", {"allow": "GET, HEAD"})
        names, slash = split_path(request.raw_path)
        found = await aside(self._find, [*names, INDEX] if slash else names)
        if found is None:
            raise HttpError(404, "Not found.")
        if isinstance(found, Tree):
            raise HttpError(301, "See there.", {"location": join_path(names) + "/"})
        tag = f'"{found.id.decode()}"'
        fields = [("etag", tag), ("cache-control", "no-cache"), ("x-content-type-options", "nosniff")]
        failed = precondition(request.method, request.headers, tag, None)
        if failed is not None:
            return Response(failed, fields)
        return Response(200, [*fields, ("content-type", content_type(INDEX if slash else names[-1]))], found.data)

    def _find(self, names: list[str]) -> Blob | Tree | None:
        """What `names` lead to from the branch's last commit."""
        try:
            found = self._repo[self._repo[self._repo.refs[self._branch]].tree]
            for name in names:
                mode, sha = found[name.encode("utf-8", "surrogateescape")]
                if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
                    return None  # a link, or a submodule
                found = self._repo[sha]
                if not isinstance(found, Tree) and name is not names[-1]:
                    return None
        except KeyError:
            return None
        return found


if __name__ == "__main__":
    path, _, branch = sys.argv[2].partition("@")
    netstack.run(main(sys.argv[1], GitBranch(path, branch or "main"), *sys.argv[3:]))
