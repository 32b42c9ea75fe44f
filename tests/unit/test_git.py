"""`tidings.git` against repositories that the real `git` made, and against torn and hostile ones.

Files get times of their own, so that no test depends on how fast it runs.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import tempfile
import zlib
from hashlib import sha1
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidings.git import Checkout, objects, read_checkout

PATIENT = 60.0  # seconds: only the tests about the time budget are about time
LONG_AGO = 1_577_836_800_000_000_000  # 2020-01-01 in nanoseconds
LATER = LONG_AGO + 5_000_000_000  # git itself compares whole seconds
FAR_AHEAD = 4_102_444_800_000_000_000  # 2100-01-01

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_COUNT": "3",
    "GIT_CONFIG_KEY_0": "init.defaultBranch",
    "GIT_CONFIG_VALUE_0": "main",
    "GIT_CONFIG_KEY_1": "advice.detachedHead",
    "GIT_CONFIG_VALUE_1": "false",
    "GIT_CONFIG_KEY_2": "protocol.file.allow",
    "GIT_CONFIG_VALUE_2": "always",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}


class Work:
    """A work tree, the `git` that manages it, and what `read_checkout` says of it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def git(self, *arguments: str, input: str | None = None) -> str:
        """What `git` prints, run here."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env=ENVIRONMENT,
            input=input,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def write(self, name: str, content: str, modified: int = LONG_AGO) -> Path:
        """Write a file that shows a time of its own."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode())
        os.utime(file, ns=(modified, modified))
        return file

    def commit(self) -> str:
        """Commit all there is."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "a commit")
        return self.git("rev-parse", "HEAD")

    def checkout(self, seconds: float = PATIENT) -> Checkout | None:
        """What is to be tested."""
        return read_checkout(str(self.path), seconds)

    def dirty(self) -> bool | None:
        """Whether it is dirty, given all the time it takes."""
        checkout = self.checkout()
        assert checkout is not None
        return checkout.dirty

    @property
    def dot_git(self) -> Path:
        """The directory `.git`."""
        return self.path / ".git"


def make_work(path: Path, *options: str) -> Work:
    """Make an empty repository."""
    path.mkdir(exist_ok=True)
    work = Work(path)
    work.git("init", "--quiet", *options)
    return work


@pytest.fixture
def work(tmp_path: Path) -> Work:
    """A repository with one commit of three files, one of them executable."""
    work = make_work(tmp_path / "work")
    work.write("paper.txt", "one\n")
    work.write("src/model.py", "x = 1\n")
    work.write("src/deep/er/run.sh", "#!/bin/sh\n").chmod(0o755)
    work.commit()
    return work


class TestCommit:
    """Which commit and branch a directory is at."""

    def test_of_a_clean_work_tree(self, work: Work) -> None:
        """Commit and branch are git's own, and nothing is dirty."""
        assert work.checkout() == (work.git("rev-parse", "HEAD"), "main", False)

    def test_from_a_directory_below(self, work: Work) -> None:
        """The repository is found upwards."""
        assert read_checkout(str(work.path / "src" / "deep"), PATIENT) == work.checkout()

    def test_past_a_directory_that_only_looks_like_a_repository(self, work: Work) -> None:
        """An empty `.git` further down does not end the search, as with git."""
        (work.path / "src" / ".git").mkdir()
        assert read_checkout(str(work.path / "src"), PATIENT) == work.checkout()

    def test_outside_of_any_repository(self, tmp_path: Path) -> None:
        """There is no checkout where there is no `.git`."""
        assert read_checkout(str(tmp_path), PATIENT) is None

    def test_not_beyond_the_file_system(self) -> None:
        """The search ends where another file system begins: parents may be automounted."""
        assert read_checkout("/proc/self", PATIENT) is None

    @pytest.mark.parametrize("directory", ["/no/such/directory", "a\0b", "\udcff"])
    def test_of_no_directory(self, directory: str) -> None:
        """A path that names no directory has no checkout, and raises nothing."""
        assert read_checkout(directory, PATIENT) is None

    def test_before_the_first_commit(self, tmp_path: Path) -> None:
        """An unborn branch has a name, no commit, and is dirty once something is staged."""
        work = make_work(tmp_path / "work")
        assert work.checkout() == (None, "main", False)
        work.write("paper.txt", "one\n")
        assert work.checkout() == (None, "main", False)
        work.git("add", "paper.txt")
        assert work.checkout() == (None, "main", True)

    def test_detached(self, work: Work) -> None:
        """A detached HEAD has a commit and no branch."""
        commit = work.git("rev-parse", "HEAD")
        work.git("checkout", "--quiet", "--detach")
        assert work.checkout() == (commit, None, False)

    def test_on_a_branch_with_slashes(self, work: Work) -> None:
        """A branch is told by its whole name."""
        work.git("checkout", "--quiet", "-b", "ada/figures/2")
        assert work.checkout() == (work.git("rev-parse", "HEAD"), "ada/figures/2", False)

    def test_from_packed_refs(self, work: Work) -> None:
        """A packed ref is found among others, tags with peeled lines included."""
        work.git("tag", "--annotate", "v1", "--message", "one")
        work.git("branch", "before-main")
        work.git("branch", "not-main")
        work.git("branch", "main-too")
        work.git("pack-refs", "--all")
        assert not (work.dot_git / "refs" / "heads" / "main").exists()
        assert work.checkout() == (work.git("rev-parse", "HEAD"), "main", False)

    def test_a_loose_ref_comes_before_a_packed_one(self, work: Work) -> None:
        """After a commit on a packed branch the new commit counts."""
        work.git("pack-refs", "--all")
        work.write("paper.txt", "two, longer\n")
        commit = work.commit()
        assert work.checkout() == (commit, "main", False)

    def test_through_a_symbolic_ref(self, work: Work) -> None:
        """A branch that points to another one has that one's commit."""
        work.git("symbolic-ref", "refs/heads/alias", "refs/heads/main")
        work.git("symbolic-ref", "HEAD", "refs/heads/alias")
        assert work.checkout() == (work.git("rev-parse", "HEAD"), "alias", False)

    def test_symbolic_refs_in_a_circle(self, work: Work) -> None:
        """Refs that point to each other are unreadable, not endless."""
        (work.dot_git / "refs" / "heads" / "main").write_text("ref: refs/heads/other\n")
        (work.dot_git / "refs" / "heads" / "other").write_text("ref: refs/heads/main\n")
        assert work.checkout() is None

    def test_in_a_linked_worktree(self, work: Work, tmp_path: Path) -> None:
        """A worktree has its own branch and changes; commits and refs it shares."""
        work.git("worktree", "add", "--quiet", "-b", "other", str(tmp_path / "linked"))
        linked = Work(tmp_path / "linked")
        assert linked.checkout() == (work.git("rev-parse", "HEAD"), "other", False)
        linked.write("paper.txt", "changed here\n")
        assert (linked.dirty(), work.dirty()) == (True, False)

    def test_in_a_submodule(self, work: Work, tmp_path: Path) -> None:
        """A submodule is a checkout of its own, and its changes are not the outer one's."""
        inner = make_work(tmp_path / "inner")
        inner.write("data.csv", "1,2\n")
        commit = inner.commit()
        work.git("submodule", "--quiet", "add", str(inner.path), "vendor/inner")
        work.commit()
        submodule = Work(work.path / "vendor" / "inner")
        assert submodule.checkout() == (commit, "main", False)
        submodule.write("data.csv", "1,2,3\n")
        assert (submodule.dirty(), work.dirty()) == (True, False)

    def test_with_sha256(self, tmp_path: Path) -> None:
        """A repository with SHA-256 hashes is read like any other."""
        work = make_work(tmp_path / "work", "--object-format=sha256")
        work.write("src/paper.txt", "one\n")
        commit = work.commit()
        assert len(commit) == 64
        assert work.checkout() == (commit, "main", False)
        work.write("src/paper.txt", "two\n", LATER)
        assert work.dirty() is True

    def test_with_reftable(self, work: Work) -> None:
        """Refs kept as reftable are unknown: that HEAD says `.invalid` is not taken for a branch.

        Source: the layout that git's reftable documentation prescribes; most gits cannot make one.
        """
        (work.dot_git / "reftable").mkdir()
        (work.dot_git / "HEAD").write_text("ref: refs/heads/.invalid\n")
        assert work.checkout() == (None, None, None)


class TestDirty:
    """Whether tracked files, or what is staged, differ from the commit."""

    def test_a_file_of_another_size(self, work: Work) -> None:
        """A changed size decides, also where the time is the old one."""
        work.write("paper.txt", "one more\n")
        assert work.dirty() is True

    def test_a_file_of_the_same_size(self, work: Work) -> None:
        """Where only the time differs, the content decides."""
        work.write("paper.txt", "two\n", LATER)
        assert work.dirty() is True

    def test_a_file_that_was_only_touched(self, work: Work) -> None:
        """A new time alone changes nothing."""
        work.write("paper.txt", "one\n", LATER)
        assert work.dirty() is False

    def test_a_file_changed_in_the_moment_the_index_was_written(self, work: Work) -> None:
        """A file whose time is not before the index's is compared ("racily clean")."""
        work.write("paper.txt", "two\n")
        os.utime(work.dot_git / "index", ns=(LONG_AGO, LONG_AGO))
        assert work.dirty() is True

    def test_a_file_that_git_marked_as_racy(self, work: Work) -> None:
        """An entry to which git gave the size 0 is compared by content."""
        # Else git sees the second write by its ctime, where a second has ended in between.
        work.git("config", "core.trustctime", "false")
        work.write("paper.txt", "two\n", FAR_AHEAD)
        work.commit()
        work.write("paper.txt", "six\n", FAR_AHEAD)
        work.write("other.txt", "another\n")
        work.git("add", "other.txt")  # writes the index anew, and with it the mark
        assert "size: 0" in work.git("ls-files", "--debug", "paper.txt")
        work.git("commit", "--quiet", "--message", "another")
        assert work.dirty() is True
        work.write("paper.txt", "two\n", FAR_AHEAD)
        assert work.dirty() is False

    def test_a_file_that_is_gone(self, work: Work) -> None:
        """A deleted file is a change."""
        (work.path / "paper.txt").unlink()
        assert work.dirty() is True

    def test_a_directory_that_is_gone_or_a_file_now(self, work: Work) -> None:
        """So is a file whose directory is gone, or has become a file."""
        shutil.rmtree(work.path / "src")
        assert work.dirty() is True
        work.write("src", "a file now\n")
        assert work.dirty() is True

    def test_a_directory_in_the_place_of_a_file(self, work: Work) -> None:
        """What is no file any more has changed."""
        (work.path / "paper.txt").unlink()
        (work.path / "paper.txt").mkdir()
        assert work.dirty() is True

    def test_an_untracked_file(self, work: Work) -> None:
        """A file that git does not know does not count, as for `git describe --dirty`."""
        work.write("notes.txt", "untracked\n")
        assert work.dirty() is False

    def test_the_executable_bit(self, work: Work) -> None:
        """A changed executable bit is a change; other bits are none."""
        (work.path / "paper.txt").chmod(0o600)
        assert work.dirty() is False
        (work.path / "paper.txt").chmod(0o755)
        assert work.dirty() is True

    def test_the_executable_bit_where_it_means_nothing(self, work: Work) -> None:
        """With `core.fileMode` off, the executable bit is no change."""
        work.git("config", "core.fileMode", "false")
        (work.path / "paper.txt").chmod(0o755)
        assert work.dirty() is False

    def test_symbolic_links(self, work: Work) -> None:
        """A link counts by where it points, not by what is there."""
        link = work.path / "link"
        link.symlink_to("paper.txt")
        work.commit()
        assert work.dirty() is False
        link.unlink()
        link.symlink_to("other.txt")
        assert work.dirty() is True
        link.unlink()
        work.write("link", "paper.txt")
        assert work.dirty() is True

    def test_a_link_made_anew(self, work: Work) -> None:
        """A link to the same place is no change, however new it is."""
        link = work.path / "link"
        link.symlink_to("paper.txt")
        work.commit()
        link.unlink()
        link.symlink_to("paper.txt")
        assert work.dirty() is False

    def test_a_staged_change(self, work: Work) -> None:
        """What is staged differs from the commit, though the files equal the index."""
        work.write("src/deep/er/run.sh", "#!/bin/bash\n")
        work.git("add", "--all")
        assert work.dirty() is True

    def test_a_staged_change_that_was_undone_in_the_file(self, work: Work) -> None:
        """A staged change counts also where the file is as in the commit again."""
        work.write("paper.txt", "two\n", LATER)
        work.git("add", "--all")
        work.write("paper.txt", "one\n")
        assert work.dirty() is True

    def test_a_staged_new_file_and_its_return(self, work: Work) -> None:
        """A staged new file is a change; taken back, it is none."""
        work.write("new.txt", "new\n")
        work.git("add", "new.txt")
        assert work.dirty() is True
        work.git("rm", "--quiet", "--cached", "new.txt")
        assert work.dirty() is False

    def test_a_staged_removal(self, work: Work) -> None:
        """A file taken out of the index, but left on disk, is a change."""
        work.git("rm", "--quiet", "--cached", "paper.txt")
        assert work.dirty() is True

    def test_a_file_that_is_only_meant_to_be_added(self, work: Work) -> None:
        """`git add --intent-to-add`, which needs version 3 of the index, is a change."""
        work.write("new.txt", "new\n")
        work.git("add", "--intent-to-add", "new.txt")
        assert (work.dot_git / "index").read_bytes()[7] == 3
        assert work.dirty() is True

    def test_a_merge_conflict(self, work: Work) -> None:
        """A file in conflict is a change."""
        work.git("checkout", "--quiet", "-b", "other")
        work.write("paper.txt", "theirs\n")
        work.commit()
        work.git("checkout", "--quiet", "main")
        work.write("paper.txt", "ours and longer\n")
        work.commit()
        with pytest.raises(subprocess.CalledProcessError):
            work.git("merge", "other")
        assert work.dirty() is True

    @pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
    def test_a_file_git_was_told_not_to_look_at(self, work: Work, flag: str) -> None:
        """Such a file is taken as it is in the index."""
        work.git("update-index", flag, "paper.txt")
        work.write("paper.txt", "changed\n")
        assert work.dirty() is False
        work.write("src/model.py", "changed, too\n")
        assert work.dirty() is True

    def test_line_ends_that_git_converts(self, work: Work) -> None:
        """With `core.autocrlf`, a touched file whose blob has other line ends is no change."""
        work.git("config", "core.autocrlf", "true")
        work.write("crlf.txt", "one\r\ntwo\r\n")
        work.commit()
        work.write("crlf.txt", "one\r\ntwo\r\n", LATER)
        assert work.dirty() is False
        work.write("crlf.txt", "one\r\nsix\r\n", LATER)
        assert work.dirty() is True

    def test_all_files_of_a_checkout_without_them(self, work: Work, tmp_path: Path) -> None:
        """A commit of which nothing was checked out is dirty, as git says."""
        work.git("clone", "--quiet", "--no-checkout", str(work.path), str(tmp_path / "clone"))
        assert Work(tmp_path / "clone").dirty() is True

    def test_an_empty_commit(self, tmp_path: Path) -> None:
        """A commit without files, which has no index, is clean."""
        work = make_work(tmp_path / "work")
        work.commit()
        (work.dot_git / "index").unlink(missing_ok=True)
        assert work.dirty() is False

    def test_names_that_are_not_ascii(self, work: Work) -> None:
        """Names are bytes to git, and sorted as such."""
        for name in ("ünïcode.txt", "a b", "a-b/c", "a/b", "a.b", "日本/語", os.fsdecode(b"\xff")):
            work.write(name, name.encode("utf-8", "surrogateescape").hex())
        work.commit()
        assert work.dirty() is False
        work.write("日本/語", "changed\n")
        assert work.dirty() is True


class TestIndex:
    """The index in all of its forms."""

    @pytest.mark.parametrize("version", ["2", "4"])
    def test_of_each_version(self, work: Work, version: str) -> None:
        """A clean and a changed tree are told apart in every version of the index."""
        # Names with much, little and nothing in common, and one of which much has to be dropped.
        work.write(f"data/long/{'x' * 200}.csv", "long\n")
        for number in range(40):
            work.write(f"data/run-{number:03}/{'x' * (number % 9)}.csv", f"{number}\n")
        work.commit()
        work.git("update-index", "--index-version", version)
        assert (work.dot_git / "index").read_bytes()[7] == int(version)
        assert work.dirty() is False
        work.write("data/run-039/xxx.csv", "changed\n")
        assert work.dirty() is True

    def test_with_a_very_long_name(self, work: Work) -> None:
        """A name as long as its field of length can say, and longer paths allow, is read."""
        name = "/".join(["d" * 255] * 16)
        assert len(name) == 0xFFF
        work.git("update-index", "--add", "--cacheinfo", f"100644,{empty_blob(work)},{name}")
        work.git("update-index", "--skip-worktree", name)
        work.git("commit", "--quiet", "--message", "long")
        assert work.dirty() is False
        work.write("paper.txt", "changed\n")
        assert work.dirty() is True

    def test_that_is_sparse(self, work: Work) -> None:
        """Directories left out of a sparse checkout are entries of the index, and no change."""
        for directory in ("kept", "left-out/a", "left-out/b"):
            work.write(f"{directory}/file.txt", "x\n")
        work.commit()
        work.git("sparse-checkout", "set", "--cone", "--sparse-index", "kept")
        assert b"left-out/\0" in (work.dot_git / "index").read_bytes()
        assert work.dirty() is False
        work.write("kept/file.txt", "changed\n")
        assert work.dirty() is True

    def test_that_is_split(self, work: Work) -> None:
        """An index in two files is not read: whether there are changes is unknown."""
        work.git("update-index", "--split-index")
        assert work.checkout() == (work.git("rev-parse", "HEAD"), "main", None)

    def test_without_a_checksum(self, work: Work) -> None:
        """With `index.skipHash` git writes zeros for the checksum, and the rest is read."""
        index = work.dot_git / "index"
        index.write_bytes(index.read_bytes()[:-20] + bytes(20))
        assert work.dirty() is False
        work.write("paper.txt", "changed\n")
        assert work.dirty() is True

    def test_with_an_extension_that_must_be_understood(self, work: Work) -> None:
        """An extension in lower case changes what entries mean: unknown. One in upper case not."""
        index = work.dot_git / "index"
        content = index.read_bytes()[:-20]
        for signature, dirty in ((b"neww", None), (b"NEWW", False)):
            more = content + signature + struct.pack(">I", 3) + b"abc"
            index.write_bytes(more + sha1(more, usedforsecurity=False).digest())
            assert work.dirty() is dirty

    def test_of_too_many_files(self, work: Work) -> None:
        """Up to 2,000 tracked files are looked at; with more, changes are unknown."""
        blob = empty_blob(work)
        for count, dirty in ((2_000, True), (2_001, None)):
            work.git("read-tree", "--empty")
            lines = "".join(f"100644 {blob}\tfile-{number}\n" for number in range(count))
            work.git("update-index", "--index-info", input=lines)
            assert work.dirty() is dirty


class TestObjects:
    """The commit's tree, which what is staged is compared with."""

    def test_in_a_pack(self, work: Work) -> None:
        """Commits in packs are read like loose ones."""
        pack(work)
        assert work.dirty() is False
        work.write("paper.txt", "staged\n")
        work.git("add", "--all")
        assert work.dirty() is True

    def test_in_one_of_several_packs(self, work: Work) -> None:
        """Every pack is looked into."""
        commits = [work.git("rev-parse", "HEAD")]
        for number in range(3):
            work.git("repack", "--quiet", "-d")
            work.write("paper.txt", f"number {number}\n")
            commits.append(work.commit())
        work.git("repack", "--quiet", "-d")
        assert len(list((work.dot_git / "objects" / "pack").glob("*.idx"))) == 4
        for commit in commits:
            work.git("checkout", "--quiet", commit)
            assert work.checkout() == (commit, None, False)

    def test_in_a_clone(self, work: Work, tmp_path: Path) -> None:
        """A fresh clone, where all objects are in a pack, is clean."""
        work.git("clone", "--quiet", f"file://{work.path}", str(tmp_path / "clone"))
        clone = Work(tmp_path / "clone")
        assert clone.checkout() == (work.git("rev-parse", "HEAD"), "main", False)

    def test_in_a_pack_with_large_offsets(self, work: Work) -> None:
        """Offsets of packs beyond 2 GiB, which stand in a table of their own, are read."""
        for number in range(20):
            work.write(f"data/{number}.txt", f"{number}" * 50)
        work.commit()
        pack(work)
        (packed,) = (work.dot_git / "objects" / "pack").glob("*.pack")
        index = packed.with_suffix(".idx")
        size = index.stat().st_size
        index.unlink()
        work.git("index-pack", "--index-version=2,0x1", str(packed))
        assert index.stat().st_size > size  # by the table
        assert work.dirty() is False

    def test_as_a_difference_to_another_commit(self, work: Work) -> None:
        """A commit kept as a difference is not read: what is staged is unknown, changes are not."""
        message = "\n".join(f"line {number} of a long message" for number in range(200))
        for number in range(6):
            work.git("commit", "--quiet", "--allow-empty", "--message", f"{message} {number}")
        pack(work)
        (index,) = (work.dot_git / "objects" / "pack").glob("*.idx")
        rows = [row.split() for row in work.git("verify-pack", "-v", str(index)).splitlines()]
        differences = [row[0] for row in rows if row[1:2] == ["commit"] and len(row) == 7]
        assert differences, "git made no such commit"
        work.git("checkout", "--quiet", differences[0])
        assert work.dirty() is None
        work.write("paper.txt", "changed\n")
        assert work.dirty() is True

    def test_a_name_across_two_rows(self) -> None:
        """In a pack's index, the end of one name and the start of the next make no name."""
        assert objects._row(b"xaaxaa", b"aa") == 2
        assert objects._row(b"xaax", b"aa") is None
        assert objects._row(b"aax", b"aa") == 0

    def test_elsewhere(self, work: Work, tmp_path: Path) -> None:
        """A commit that lies in another repository's objects is not read: unknown."""
        work.git("clone", "--quiet", "--shared", str(work.path), str(tmp_path / "clone"))
        (tmp_path / "clone" / ".git" / "objects" / "pack").mkdir(exist_ok=True)
        assert Work(tmp_path / "clone").dirty() is None


class TestBounds:
    """Nothing waits, and what would take too long is unknown."""

    def test_of_time(self, work: Work) -> None:
        """When the time is up the commit is told, and whether there are changes is unknown."""
        assert work.checkout(seconds=-1) == (work.git("rev-parse", "HEAD"), "main", None)

    def test_of_content(self, work: Work) -> None:
        """A touched file above 1 MiB is not read: unknown, unless something else has changed."""
        work.write("large.bin", "x" * (1024 * 1024 + 1))
        work.write("just.bin", "x" * 1024 * 1024)
        work.commit()
        assert work.dirty() is False
        work.write("just.bin", "x" * 1024 * 1024, LATER)
        assert work.dirty() is False
        work.write("large.bin", "x" * (1024 * 1024 + 1), LATER)
        assert work.dirty() is None
        work.write("paper.txt", "changed\n")
        assert work.dirty() is True

    @pytest.mark.parametrize("name", ["HEAD", "refs/heads/main", "index", "commondir"])
    def test_a_fifo_in_the_place_of_a_file(self, work: Work, name: str) -> None:
        """A FIFO that nobody writes to does not hold anyone up."""
        (work.dot_git / name).unlink(missing_ok=True)
        os.mkfifo(work.dot_git / name)
        checkout = work.checkout()
        assert checkout is None or checkout.dirty is None

    def test_a_fifo_in_the_place_of_a_tracked_file(self, work: Work) -> None:
        """A tracked file that has become a FIFO is a change, and is not opened."""
        (work.path / "paper.txt").unlink()
        os.mkfifo(work.path / "paper.txt")
        assert work.dirty() is True

    def test_nothing_is_written(self, work: Work) -> None:
        """Looking leaves `.git` as it is, the time of the index included."""
        work.write("paper.txt", "one\n", LATER)
        before = everything_below(work.dot_git)
        work.checkout()
        assert everything_below(work.dot_git) == before


class TestTorn:
    """Torn and hostile repositories give less, and never an error or a wrong answer."""

    @pytest.mark.parametrize(
        "head",
        [
            b"",
            b"\n",
            b"ref: ",
            b"ref: refs/",
            b"ref: refs/heads/../../../../../../etc/hostname",
            b"ref: /etc/hostname",
            b"0123",
            b"z" * 40,
            b"\xff" * 41,
            b"ref: refs/heads/\0",
            b"a" * 100_000,
        ],
    )
    def test_head(self, work: Work, head: bytes) -> None:
        """A HEAD that names neither commit nor branch is no checkout."""
        (work.dot_git / "HEAD").write_bytes(head)
        assert work.checkout() is None

    @pytest.mark.parametrize(
        "ref", [b"", b"0123", b"ref: /etc/hostname", b"\0" * 41, b"x" * 99_999]
    )
    def test_a_branch(self, work: Work, ref: bytes) -> None:
        """A torn ref is no checkout, rather than a wrong commit."""
        (work.dot_git / "refs" / "heads" / "main").write_bytes(ref)
        assert work.checkout() is None

    def test_packed_refs(self, work: Work) -> None:
        """A packed ref cut off in its hash is no checkout."""
        work.git("pack-refs", "--all")
        refs = work.dot_git / "packed-refs"
        refs.write_text(refs.read_text().replace(work.git("rev-parse", "HEAD"), "0123"))
        assert work.checkout() is None

    @pytest.mark.parametrize(
        "pointer", [b"", b"gitdir: ", b"gitdir: \0", b"gitdir: /no/such", b"x"]
    )
    def test_a_pointer_to_the_repository(self, tmp_path: Path, pointer: bytes) -> None:
        """A `.git` file that leads nowhere is no checkout."""
        (tmp_path / ".git").write_bytes(pointer)
        assert read_checkout(str(tmp_path), PATIENT) is None

    @pytest.mark.parametrize(
        "content",
        [
            None,
            b"",
            b"x",
            b"\x78\x9c",
            b"tree 0123",
            zlib.compress(b"commit 9\0tree 0123"),
            zlib.compress(b"commit 46\0data " + b"0" * 40 + b"\n"),
            zlib.compress(b"x" * 5000),
        ],
    )
    def test_the_commit(self, work: Work, content: bytes | None) -> None:
        """Where the commit object is torn or gone, what is staged is unknown."""
        commit = work.git("rev-parse", "HEAD")
        file = work.dot_git / "objects" / commit[:2] / commit[2:]
        file.chmod(0o644)
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content)
        assert work.checkout() == (commit, "main", None)

    @pytest.mark.parametrize("suffix", [".idx", ".pack"])
    @pytest.mark.parametrize("length", [0, 7, 1031, 1032, 1050])
    def test_packs(self, work: Work, suffix: str, length: int) -> None:
        """Where packs are cut off, changes are unknown, or still known; nothing is raised."""
        pack(work)
        (file,) = (work.dot_git / "objects" / "pack").glob(f"*{suffix}")
        file.chmod(0o644)
        os.truncate(file, length)
        checkout = work.checkout()
        assert checkout is not None
        assert checkout.dirty in ({None} if length < 8 or suffix == ".idx" else {None, False})


@pytest.fixture(scope="module")
def torn(tmp_path_factory: pytest.TempPathFactory) -> Work:
    """A clean repository whose index the tests below tear, in version 4 for its packed names."""
    work = make_work(tmp_path_factory.mktemp("torn") / "work")
    for number in range(12):
        work.write(f"data/run-{number}/result.csv", f"{number}\n")
    work.commit()
    work.git("update-index", "--index-version", "4")
    shutil.copy(work.dot_git / "index", work.path / "whole-index")
    return work


TEARS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "insert", "drop"]),
        st.integers(0, 5_000),
        st.binary(min_size=1, max_size=9),
    ),
    min_size=1,
    max_size=4,
)


def torn_by(content: bytes, tears: list[tuple[str, int, bytes]]) -> bytes:
    """The content after all that happened to it."""
    for kind, place, patch in tears:
        at = place % (len(content) + 1)
        if kind == "flip":
            content = content[:at] + patch + content[at + len(patch) :]
        elif kind == "cut":
            content = content[:at]
        elif kind == "insert":
            content = content[:at] + patch + content[at:]
        else:
            content = content[:at] + content[at + len(patch) :]
    return content


@given(tears=TEARS)
def test_a_torn_index_gives_no_answer(torn: Work, tears: list[tuple[str, int, bytes]]) -> None:
    """Whatever happened to an index's bytes, it is never taken for the state of the files."""
    whole = (torn.path / "whole-index").read_bytes()
    content = torn_by(whole, tears)
    (torn.dot_git / "index").write_bytes(content)
    assert torn.dirty() is (False if content == whole else None)


@given(tears=TEARS)
def test_a_forged_index_raises_nothing(torn: Work, tears: list[tuple[str, int, bytes]]) -> None:
    """Also where the checksum was made to fit, or left out, nothing is raised."""
    content = torn_by((torn.path / "whole-index").read_bytes()[:-20], tears)
    for checksum in (sha1(content, usedforsecurity=False).digest(), bytes(20)):
        (torn.dot_git / "index").write_bytes(content + checksum)
        assert torn.dirty() in {True, False, None}


NAMES = st.sampled_from(["a", "b/c", "b/d", "b/e/f", "b.g"])
CONTENTS = st.sampled_from(["", "x", "y", "xx"])
STEPS = st.one_of(
    st.tuples(st.just("write"), NAMES, CONTENTS),
    st.tuples(st.just("touch"), NAMES, st.just("")),
    st.tuples(st.just("link"), NAMES, CONTENTS),
    st.tuples(st.just("delete"), NAMES, st.just("")),
    st.tuples(st.just("chmod"), NAMES, st.sampled_from(["644", "755"])),
    st.tuples(st.just("git add --all"), st.just(""), st.just("")),
    st.tuples(st.just("git commit -qm x --allow-empty"), st.just(""), st.just("")),
    st.tuples(st.just("git rm -q --cached --ignore-unmatch --force --"), NAMES, st.just("")),
    st.tuples(st.just("git repack -qad"), st.just(""), st.just("")),
    st.tuples(st.just("git update-index --index-version 4"), st.just(""), st.just("")),
    st.tuples(st.just("git reset -q"), st.just(""), st.just("")),
)


@settings(max_examples=60)
@given(steps=st.lists(STEPS, max_size=12))
def test_whatever_was_done_git_agrees(steps: list[tuple[str, str, str]]) -> None:
    """After any steps, files are changed or not as `git status` says, and that is always known."""
    with tempfile.TemporaryDirectory() as directory:
        work = make_work(Path(directory))
        for step, name, argument in steps:
            take_step(work, step, name, argument)
        says = work.git("--no-optional-locks", "status", "--porcelain", "--untracked-files=no")
        assert work.dirty() is bool(says)


def take_step(work: Work, step: str, name: str, argument: str) -> None:
    """Do one thing to a work tree, or nothing where it cannot be done."""
    file = work.path / name
    if step.startswith("git "):
        work.git(*step.split()[1:], *([name] if name else []))
    elif step == "write":
        file.parent.mkdir(exist_ok=True, parents=True)
        file.unlink(missing_ok=True)
        file.write_text(argument)
    elif step == "link":
        file.parent.mkdir(exist_ok=True, parents=True)
        file.unlink(missing_ok=True)
        file.symlink_to(argument or "nowhere")
    elif step == "delete":
        file.unlink(missing_ok=True)
    elif file.is_file() and not file.is_symlink():
        if step == "touch":
            os.utime(file)
        else:
            file.chmod(int(argument, 8))


def empty_blob(work: Work) -> str:
    """The hash of an empty file, which is then there."""
    return work.git("hash-object", "-w", "--stdin", input="")


def pack(work: Work) -> None:
    """Move every object into one pack."""
    work.git("repack", "--quiet", "-a", "-d", "-f")
    work.git("prune-packed", "--quiet")
    assert not list((work.dot_git / "objects").glob("??"))


def everything_below(directory: Path) -> dict[str, tuple[int, bytes]]:
    """Each file with its time and content."""
    return {
        str(file): (file.stat().st_mtime_ns, file.read_bytes())
        for file in directory.rglob("*")
        if file.is_file()
    }
