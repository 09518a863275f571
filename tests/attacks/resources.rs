//! Resources. Everything here is bounded.

use crate::attack::{Bare, Evidence};

attacks! {
    processes_have_an_end: "more processes are made than anybody needs",
        Bare::Works, "
import threading
threading.stack_size(65536)
stop = threading.Event()
try:
    for _ in range(20000): threading.Thread(target=stop.wait, daemon=True).start()
except RuntimeError as error:
    os.write(2, f'stopped: {error}'.encode()); os._exit(1)
os._exit(0)";
    temporary_files_have_an_end: "/tmp takes more than half of the memory",
        Bare::Never("what the host's /tmp is differs"), "
memory = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
sizes = [os.statvfs(path) for path in ('/tmp', '/dev/shm', os.environ['HOME'])]
assert any(size.f_blocks * size.f_frsize > memory / 4 or size.f_files > 1 << 20 for size in sizes)";
    the_root_and_dev_take_nothing: "files are made in the root and in /dev",
        Bare::Root, "any_of(['/made', '/dev/made'], lambda path: (can_open(path, os.O_CREAT | os.O_WRONLY), os.unlink(path)))";
    descriptors_have_an_end: "more descriptors are opened than anybody needs",
        Bare::Never("the caller's limit differs"), "
import resource
assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] > 1 << 20";
    output_has_an_end: "the log of the caller is filled",
        Bare::Works, "
for _ in range(64): os.write(1, bytes(1 << 16))",
        {
            log: true,
            profile: "[limits]\noutput = \"1M\"\n",
            evidence: Evidence::Outside(|stage| {
                stage.outside().join("log").metadata().unwrap().len() > 2 << 20
            }),
        };
}
