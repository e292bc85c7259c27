"""This machine's own Debian, as a copy that is thrown away: an overlay in namespaces of its own.

What is installed there is installed nowhere. The network is this machine's.
"""

import os
import shlex
import shutil
import subprocess

import pytest

# Nothing of it reaches the machine: the mounts are this process's, and end with it.
ENTER = """
set -e
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=/,upperdir=$OVERLAY/upper,workdir=$OVERLAY/work" "$OVERLAY/root"
mount -t proc proc "$OVERLAY/root/proc"
mount --bind /dev "$OVERLAY/root/dev"
mount -t tmpfs tmpfs "$OVERLAY/root/run"
mount -t tmpfs -o mode=1777 tmpfs "$OVERLAY/root/tmp"
for given in $GIVEN; do
    mkdir -p "$OVERLAY/root$given"
    mount --bind "$given" "$OVERLAY/root$given"
done
[ -z "$READ_ONLY" ] || mount -o remount,ro "$OVERLAY/root"
exec chroot $USERSPEC "$OVERLAY/root" sh -ec "cd $FOLDER; $SCRIPT"
"""


class Machine:
    """A copy whose changes last from one `run` to the next. The folders that are `given` are the machine's own."""

    def __init__(self, folder, *given):
        self.overlay, self.given = folder / "overlay", given
        for name in ("upper", "work", "root"):
            (self.overlay / name).mkdir(parents=True)
        if shutil.which("unshare") is None or self.run("true").returncode:
            pytest.skip("overlays and namespaces are needed: root's, on a file system that takes them")

    def command(self, script, user=None, folder="/", environment=None, read_only=False):
        """The command and the environment that run `script` inside."""
        environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive",
            **(environment or {}), "OVERLAY": str(self.overlay), "GIVEN": " ".join(str(one) for one in self.given),
            "READ_ONLY": "yes" if read_only else "", "USERSPEC": f"--userspec={user}" if user else "",
            "FOLDER": shlex.quote(str(folder)), "SCRIPT": script,
        }
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", ENTER], environment

    def run(self, script, **how):
        command, environment = self.command(script, **how)
        return subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)

    def ok(self, script, **how):
        done = self.run(script, **how)
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout

    def start(self, script, log, **how):
        """A process inside that lasts; it ends with its first process, which is a child of ours."""
        command, environment = self.command(script, **how)
        with open(log, "wb") as output:
            return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)

    def mode(self, path):
        """`755 root:conclave`, or nothing where there is nothing."""
        return self.run(f"stat -c '%a %U:%G' {shlex.quote(path)}").stdout.strip()

    def remove(self):
        # The overlay's own folder is nobody's to read.
        os.chmod(self.overlay / "work", 0o700)
        shutil.rmtree(self.overlay, ignore_errors=True)
