"""What the local server keeps of datasets and notebooks. A notebook that is pushed to it runs: in a process, on this
machine, with what its metadata names mounted as Kaggle mounts it."""

import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Time there passes faster; and the session is as good as over once a file of this pattern is in the output.
CLOCK = """
import glob, time
_time, _sleep = time.time, time.sleep
time.time = lambda: _time() + 10**6 * bool(glob.glob({pattern!r}))
time.sleep = lambda seconds: _sleep(seconds / 50)
"""


@dataclass
class Session:
    """A version of a notebook, and its run."""

    folder: Path
    asked: dict[str, Any]
    process: "subprocess.Popen[bytes] | None" = None
    ends: str = ""  # a status of Kaggle's, whatever its process says

    @property
    def output(self) -> Path:
        return self.folder / "working"

    @property
    def status(self) -> str:
        status = None if self.process is None else self.process.poll()
        return self.ends or ("RUNNING" if status is None else "ERROR" if status else "COMPLETE")


@dataclass
class Cloud:
    """All datasets and notebooks, and how the next ones fare."""

    root: Path
    competition: Path  # the folder with its files
    datasets: dict[str, list[dict[str, bytes]]] = field(default_factory=dict)
    blobs: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    sessions: list[Session] = field(default_factory=list)
    cut: str = ""  # the next session ends early, once its output has a file of this pattern
    old_layout: bool = False
    unpacks: bool = True  # archives in datasets
    mounts_outputs: bool = True  # of notebooks; else they are no valid sources
    refuses: str = ""  # the next notebook, in these words
    refuses_dataset: str = ""
    runs: bool = True  # notebooks; else they wait
    loses_pushes: int = 0  # that are taken, and answered by 502
    listed: dict[str, bytes] = field(default_factory=dict)  # also named in outputs

    def save(self, asked: dict[str, Any]) -> Session:
        session = Session(self.root / f"session{len(self.sessions) + 1}", asked)
        self._mount(session)
        session.output.mkdir()
        if self.runs:
            self.start(session)
        self.sessions.append(session)
        return session

    def _mount(self, session: Session) -> None:
        mounted = session.folder / "input"
        for slug in session.asked.get("competitionDataSources", []):
            shutil.copytree(self.competition, mounted / slug if self.old_layout else mounted / "competitions" / slug)
        for ref in session.asked.get("datasetDataSources", []):
            place = mounted / ref.split("/")[1] if self.old_layout else mounted / "datasets" / ref
            place.mkdir(parents=True)
            for name, data in self.datasets[ref][-1].items():
                if name.endswith(".zip") and self.unpacks:
                    zipfile.ZipFile(io.BytesIO(data)).extractall(place / name.removesuffix(".zip"))
                else:
                    (place / name).write_bytes(data)
        for ref in session.asked.get("kernelDataSources", []):
            done = [each for each in self.sessions if each.asked["slug"] == ref and each.status == "COMPLETE"]
            shutil.copytree(done[-1].output, mounted / ref.split("/")[1])

    def start(self, session: Session) -> None:
        pattern = str(session.output / self.cut) if self.cut else ""
        self.cut = ""
        cells = [cell for cell in json.loads(session.asked["text"])["cells"] if cell["cell_type"] == "code"]
        assert all(cell["outputs"] == [] for cell in cells)
        script = session.folder / "notebook.py"
        script.write_text("\n".join([CLOCK.format(pattern=pattern), *(cell["source"] for cell in cells)]), "utf-8")
        room = session.folder / "tmp"
        room.mkdir()
        kept = {name: value for name, value in os.environ.items() if "KAGGLE" not in name and name != "PYTHONPATH"}
        environment = {**kept, "TMPDIR": str(room), "COMP_KAGGLE_INPUT": str(session.folder / "input")}
        environment["COMP_KAGGLE_WORKING"] = str(session.output)
        with (session.folder / "log").open("wb") as log:
            session.process = subprocess.Popen(
                [sys.executable, str(script)], cwd=session.output, env=environment, stdout=log, stderr=log
            )


class CloudCalls:
    """The calls about datasets and notebooks; a server's handler has `_json` and `_send` besides."""

    def StartBlobUpload(self, state: Any, body: dict[str, Any]) -> None:
        token = f"bl0bt0k3n-{len(state.cloud.blobs)}"
        state.cloud.blobs[token] = (body["name"], b"")
        self._json({"token": token, "createUrl": f"{self.server.address}/blob/{token}?{state.signed}"})

    def GetDatasetStatus(self, state: Any, body: dict[str, Any]) -> None:
        if f"{body['ownerSlug']}/{body['datasetSlug']}" in state.cloud.datasets:
            self._json({"status": "READY"})
        else:
            self._json({"code": 403, "message": "Permission 'datasets.get' was denied"}, 403)

    def GetDataset(self, state: Any, body: dict[str, Any]) -> None:
        versions = state.cloud.datasets.get(f"{body['ownerSlug']}/{body['datasetSlug']}")
        if versions is None:
            self._json({"code": 403, "message": "Permission 'datasets.get' was denied"}, 403)
        else:
            self._json({"currentVersionNumber": len(versions)})

    def CreateDataset(self, state: Any, body: dict[str, Any]) -> None:
        assert body["isPrivate"] is True
        self._take_version(state, f"{body['ownerSlug']}/{body['slug']}", body["files"])

    def CreateDatasetVersion(self, state: Any, body: dict[str, Any]) -> None:
        self._take_version(state, f"{body['ownerSlug']}/{body['datasetSlug']}", body["body"]["files"])

    def _take_version(self, state: Any, ref: str, files: list[dict[str, Any]]) -> None:
        if state.cloud.refuses_dataset:
            self._json({"status": "error", "error": state.cloud.refuses_dataset, "url": ""})
            return
        content = dict(state.cloud.blobs[each["token"]] for each in files)
        state.cloud.datasets.setdefault(ref, []).append(content)
        self._json({"status": "ok", "url": f"https://www.kaggle.com/datasets/{ref}", "error": ""})

    def SaveKernel(self, state: Any, body: dict[str, Any]) -> None:
        cloud = state.cloud
        if cloud.refuses:
            self._json({"error": cloud.refuses})
            return
        unknown = [] if cloud.mounts_outputs else body.pop("kernelDataSources", [])
        cloud.save(body)
        if cloud.loses_pushes:
            cloud.loses_pushes -= 1
            self._send(502, b"<html>Bad Gateway</html>", "text/html")
            return
        url = f"https://www.kaggle.com/code/{body['slug']}"
        self._json(
            {"ref": body["slug"], "url": url, "versionNumber": len(cloud.sessions), "invalidKernelSources": unknown}
        )

    def ListKernels(self, state: Any, body: dict[str, Any]) -> None:
        refs = list(dict.fromkeys(each.asked["slug"] for each in state.cloud.sessions))
        start = body["pageSize"] * (body["page"] - 1)
        self._json({"kernels": [{"ref": ref} for ref in refs[start : start + body["pageSize"]]]})

    def GetKernelSessionStatus(self, state: Any, body: dict[str, Any]) -> None:
        session = self._session(state, body)
        if session is None:
            self._json({"code": 403, "message": "Permission 'kernels.get' was denied"}, 403)
        else:
            self._json({"status": session.status, "failureMessage": ""})

    def ListKernelSessionOutput(self, state: Any, body: dict[str, Any]) -> None:
        session = self._session(state, body)
        files = [path for path in sorted(session.output.rglob("*")) if path.is_file() and path.name != ".lock"]
        names = [path.relative_to(session.output).as_posix() for path in files] + list(state.cloud.listed)
        start = int(body.get("pageToken") or 0)
        end = start + body.get("pageSize", 20)
        number = state.cloud.sessions.index(session)
        url = f"{self.server.address}/output/{number}/"
        some = [{"fileName": name, "url": f"{url}{name}?{state.signed}"} for name in names[start:end]]
        log = (session.folder / "log").read_text("utf-8") if (session.folder / "log").is_file() else ""
        pieces = [{"stream_name": "stdout", "time": 1.0, "data": line} for line in log.splitlines(keepends=True)]
        more = {"nextPageToken": str(end)} if end < len(names) else {}
        self._json({"files": some, "log": json.dumps(pieces), **more})

    def output_file(self, state: Any, path: str) -> bytes:
        number, _, name = path.removeprefix("/output/").partition("/")
        return state.cloud.listed.get(name) or (state.cloud.sessions[int(number)].output / name).read_bytes()

    def _session(self, state: Any, body: dict[str, Any]) -> Session | None:
        ref = f"{body['userName']}/{body['kernelSlug']}"
        found = [each for each in state.cloud.sessions if each.asked["slug"] == ref]
        label = body.get("versionLabel")
        if label:
            found = [each for each in found if each is state.cloud.sessions[int(label.removeprefix("v")) - 1]]
        return found[-1] if found else None
