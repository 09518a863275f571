//! `[limits] idle`: a run that does nothing is ended, and one that does anything is not.

use crate::live::without_limits;
use crate::support::Project;

#[test]
fn a_command_that_does_nothing_for_too_long_ends_with_124_and_a_line() {
    if without_limits("a_command_that_does_nothing_for_too_long_ends_with_124_and_a_line") {
        return;
    }
    let project = Project::new();
    let line =
        "sandbox: killed: idle for 1s: no output, and next to no processor time (sandbox.toml:3)\n";
    let profile = "version = 1\n[limits]\nidle = \"1s\"\ngrace = \"300ms\"";
    let run = project.run(profile, "echo begun; exec sleep 600");
    assert_eq!(run.stdout, "begun\n");
    assert_eq!(run.fails(124), line);
    // It waits for its input, for a child, for a lock: all is nothing. And it ignores SIGTERM.
    let stubborn = "trap '' TERM; mkfifo hole; cat hole";
    assert_eq!(project.run(profile, stubborn).fails(124), line);
    // It has stopped itself.
    assert_eq!(project.run(profile, "kill -STOP $$").fails(124), line);
}

#[test]
fn a_command_that_writes_or_works_is_not_idle() {
    if without_limits("a_command_that_writes_or_works_is_not_idle") {
        return;
    }
    let project = Project::new();
    let profile = "version = 1\n[limits]\nidle = \"2s\"";
    // Hardly any processor time: a word now and then, all by one process.
    let writes =
        "import sys, time\nfor word in range(12): print(word, file=sys.stderr); time.sleep(0.4)";
    project.write("writes.py", writes);
    let run = project.run(profile, "exec python3 writes.py");
    assert_eq!((run.code, run.stderr.lines().count()), (0, 12), "{run:?}");
    // Not a word.
    let works = "import time\nwhile time.process_time() < 4: pass";
    project.write("works.py", works);
    assert_eq!(project.run(profile, "python3 works.py").ok(), "");
    // Nor of itself: in processes that come and go.
    let children = "i=0; while [ $i -lt 400 ]; do i=$((i + 1)); sleep 0.01; done";
    assert_eq!(project.run(profile, children).ok(), "");
}
