"""Hubs of models on the loopback, for their own libraries.

They answer the requests that `huggingface_hub` and `kagglehub` of
`requirements.txt` make to load and to store files, and nothing else.
"""

import base64
import collections
import contextlib
import hashlib
import http.server
import json
import re
import threading
import urllib.parse


class Hub:
    """Models by name, each with the files of its versions, oldest first.

    Attributes:
        models: dict from names to lists of versions: dicts from names of files
            to bytes.
        refused: dict from names of models to the HTTP status of all requests.
        requests: list of `(method, path)`, as they came.
        damaged: whether a bit of the files that it sends is another.
    """

    def __init__(self):
        self.models = collections.defaultdict(list)
        self.refused = {}
        self.requests = []
        self.damaged = False
        self.blobs = {}  # uploaded, not yet in a version
        self.url = None

    def new_version(self, name, files, keep=True):
        before = self.models[name][-1:] if keep else []
        self.models[name].append({**dict(*before), **files})

    def sent(self, content):
        """What is sent of a file."""
        if self.damaged:
            content = content[:-1] + bytes([content[-1] ^ 1])
        return content


def commit_hash(number):
    """What names a version on Hugging Face."""
    return hashlib.sha1(str(number).encode()).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """A request, which a method of `routes` answers.

    Subclasses have `routes`, pairs of a regular expression of method and path,
    and the name of a method; it gets the groups, and returns the status, a
    body and headers.
    """

    routes = ()
    protocol_version = "HTTP/1.1"

    def answer(self):
        hub = self.server.hub
        path = urllib.parse.unquote(self.path.partition("?")[0])
        hub.requests.append((self.command, path))
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        for pattern, name in self.routes:
            if found := re.fullmatch(pattern, f"{self.command} {path}"):
                break
        else:
            raise AssertionError(f"no such request: {self.command} {path}")
        status, body, headers = getattr(self, name)(hub, *found.groups())
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers = {"Content-Type": "application/json", **headers}
        self.send_response(status)
        for key, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(key, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = answer

    def json(self):
        return json.loads(self.body)

    def log_message(self, *_):
        pass


class HuggingFace(Handler):
    """`huggingface_hub` without Xet."""

    routes = (
        (r"(?:HEAD|GET) /([^/]+/[^/]+)/resolve/([^/]+)/(.+)", "file"),
        (r"GET /api/models/([^/]+/[^/]+)", "describe"),
        (r"POST /api/repos/create", "create"),
        (r"POST /api/validate-yaml", "validate"),
        (r"POST /api/models/([^/]+/[^/]+)/preupload/main", "preupload"),
        (r"POST /([^/]+/[^/]+)\.git/info/lfs/objects/batch", "batch"),
        (r"PUT /lfs/(\w+)", "store"),
        (r"POST /api/models/([^/]+/[^/]+)/commit/main", "commit"),
    )

    def error(self, status, code):
        return status, {"error": code}, {"X-Error-Code": code}

    def file(self, hub, name, revision, file):
        if name in hub.refused:
            return self.error(hub.refused[name], "GatedRepo")
        if not hub.models[name]:
            return self.error(401, "RepoNotFound")
        hashes = [commit_hash(n) for n in range(len(hub.models[name]))]
        if revision == "main":
            revision = hashes[-1]
        if revision not in hashes:
            return self.error(404, "RevisionNotFound")
        files = hub.models[name][hashes.index(revision)]
        if file not in files:
            return self.error(404, "EntryNotFound")
        etag = hashlib.sha256(files[file]).hexdigest()
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": revision}
        return 200, hub.sent(files[file]), headers

    def describe(self, hub, name):
        if name in hub.refused:
            return self.error(hub.refused[name], "GatedRepo")
        return 200, {"id": name}, {}

    def create(self, hub):
        given = self.json()
        name = f"{given['organization']}/{given['name']}"
        if name in hub.refused:
            return self.error(hub.refused[name], "Forbidden")
        exists = name in hub.models
        hub.models[name] = hub.models[name] or [{}]
        return 409 if exists else 200, {"url": f"{hub.url}/{name}"}, {}

    def validate(self, hub):
        return 200, {"errors": [], "warnings": []}, {}

    def preupload(self, hub, name):
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs"
                if file["path"].endswith(".h5")
                else "regular",
                "shouldIgnore": False,
            }
            for file in self.json()["files"]
        ]
        return 200, {"files": files}, {}

    def batch(self, hub, name):
        objects = [
            {
                **given,
                "actions": {
                    "upload": {"href": f"{hub.url}/lfs/{given['oid']}"}
                },
            }
            for given in self.json()["objects"]
        ]
        return 200, {"transfer": "basic", "objects": objects}, {}

    def store(self, hub, digest):
        assert hashlib.sha256(self.body).hexdigest() == digest
        hub.blobs[digest] = self.body
        return 200, b"", {}

    def commit(self, hub, name):
        files = {}
        for line in map(json.loads, self.body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = hub.blobs[value["oid"]]
            else:
                assert line["key"] == "header"
        hub.new_version(name, files)
        oid = commit_hash(len(hub.models[name]) - 1)
        url = f"{hub.url}/{name}/commit/{oid}"
        return 200, {"commitUrl": url, "commitOid": oid}, {}


class Kaggle(Handler):
    """`kagglehub`, whose requests are all calls of a service."""

    routes = (
        (r"POST /api/v1/models.ModelApiService/(\w+)", "call"),
        (r"POST /api/v1/blobs.BlobApiService/StartBlobUpload", "start"),
        (r"PUT /blobs/(\d+)/(.+)", "store"),
        (r"GET /files/([^/]+/[^/]+/keras/[^/]+)/(\d+)/(.+)", "file"),
    )

    def call(self, hub, method):
        given = self.json()
        body = given.get("body", {})
        variant = given.get("instanceSlug") or body.get("instanceSlug")
        model = f"{given.get('ownerSlug')}/{given.get('modelSlug')}"
        name = f"{model}/keras/{variant}"
        if name in hub.refused or model in hub.refused:
            return hub.refused.get(name) or hub.refused[model], {}, {}
        return getattr(self, method)(hub, name, given)

    def GetModelInstance(self, hub, name, given):
        if not hub.models[name]:
            return 404, {}, {}
        return 200, {"versionNumber": len(hub.models[name])}, {}

    def DownloadModelInstanceVersion(self, hub, name, given):
        number = given["versionNumber"]
        if not 1 <= number <= len(hub.models[name]):
            return 404, {}, {}
        url = f"{hub.url}/files/{name}/{number}/{given['path']}"
        return 302, b"", {"Location": url}

    def file(self, hub, name, number, file):
        files = hub.models[name][int(number) - 1]
        if file not in files:
            return 404, b"", {}
        md5 = hashlib.md5(files[file]).digest()
        md5 = base64.b64encode(md5).decode()
        headers = {"x-goog-hash": f"md5={md5}", "Accept-Ranges": "bytes"}
        return 200, hub.sent(files[file]), headers

    def GetModel(self, hub, name, given):
        return 404, {}, {}

    def CreateModel(self, hub, name, given):
        return 200, {}, {}

    def start(self, hub):
        given = self.json()
        token = f"{len(hub.blobs)}/{given['name']}"
        hub.blobs[token] = None
        return (
            200,
            {"token": token, "createUrl": f"{hub.url}/blobs/{token}"},
            {},
        )

    def store(self, hub, number, file):
        hub.blobs[f"{number}/{file}"] = self.body
        return 200, b"", {}

    def CreateModelInstance(self, hub, name, given):
        if hub.models[name]:
            return 200, {"error": "It exists.", "errorCode": 409}, {}
        return self.CreateModelInstanceVersion(hub, name, given)

    def CreateModelInstanceVersion(self, hub, name, given):
        tokens = [file["token"] for file in given["body"]["files"]]
        files = {token.partition("/")[2]: hub.blobs[token] for token in tokens}
        hub.new_version(name, files, keep=False)
        return 200, {}, {}


@contextlib.contextmanager
def serve(handler):
    """Gives a `Hub` that answers at its `url`, by `HuggingFace` or `Kaggle`."""
    hub = Hub()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.hub = hub
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    with contextlib.ExitStack() as stack:
        stack.callback(server.server_close)
        stack.callback(thread.join)
        stack.callback(server.shutdown)
        hub.close = stack.pop_all().close
        try:
            yield hub
        finally:
            hub.close()
