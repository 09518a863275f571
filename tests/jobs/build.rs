//! C projects, under `build` and `ci`.

use crate::frame::{Copy, Files as _, Job, example, input, lines};
use crate::support::done;
use std::process::Command;

/// Configures, builds and tests zlib; the libraries must be the same to the byte.
#[test]
fn zlib_is_configured_built_and_tested_under_build() {
    let job = Job::of(&input("zlib").join("src"));
    let script = "./configure && make -j2 && make test";
    let (bare, boxed) = job.run("build", &["sh", "-c", script]);
    let verdicts = |out: &str| lines(out, |line| line.contains("***"));
    assert_eq!(verdicts(&bare.stdout), verdicts(&boxed.stdout));

    let names = |copy: &Copy| copy.project.files().into_keys().collect::<Vec<_>>();
    assert_eq!(names(&job.bare), names(&job.boxed));
    for library in ["libz.a", "libz.so.1.3.1"] {
        let bytes = |copy: &Copy| std::fs::read(copy.project.path().join(library)).unwrap();
        assert!(bytes(&job.bare) == bytes(&job.boxed), "{library} differs");
    }
}

/// The example of the README.
#[test]
fn wordcount_is_built_and_tested_under_build() {
    let job = Job::of(&example("wordcount"));
    let (bare, boxed) = job.run("build", &["make", "test"]);
    assert_eq!(bare.stdout, boxed.stdout);
    assert_eq!(boxed.stderr, "");
    let file = job.boxed.project.path().join("test/fox.txt");
    let made = job.boxed.project.path().join("wordcount");
    assert_eq!(done(Command::new(made).arg(file)).code, 0);
}

/// With the limits where the caller can have them; where not, nothing runs at all, and the reason
/// names the line.
#[test]
fn wordcount_is_built_under_ci_within_its_limits_or_not_at_all() {
    let job = Job::of(&example("wordcount"));
    let probe = job.boxed.sandboxed("ci", &["cat", "/proc/self/cgroup"]);
    if probe.code == 125 {
        assert!(probe.stderr.contains("cannot be enforced"), "{probe:?}");
        assert!(probe.stderr.contains("ci.toml:"), "{probe:?}");
        assert!(!crate::support::is_root(), "root has limits: {probe:?}");
        return;
    }
    let (bare, boxed) = job.run("ci", &["make", "test"]);
    assert_eq!(bare.stdout, boxed.stdout);
}
