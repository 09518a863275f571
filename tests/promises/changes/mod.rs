//! Changes that do not go into the tree: thrown away, or kept, told of and taken over.

mod disk;
mod property;

use crate::support::{Done, Project, done, is_root, mounts};
use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A project whose changes are kept, and the place where they are.
pub struct Kept {
    pub project: Project,
    state: Project,
}

const KEEP: &str = "version = 1\n[rootfs]\nproject = \"keep\"\n";

impl Kept {
    /// Where changes can be kept; a test that cannot run says so.
    pub fn new(test: &str) -> Option<Self> {
        let kept = Self::anywhere();
        let store = kept.store();
        let there = store.ancestors().find(|above| above.exists()).unwrap();
        let found = nix::sys::statfs::statfs(there).unwrap();
        if found.filesystem_type() == nix::sys::statfs::OVERLAYFS_SUPER_MAGIC {
            crate::support::skip(test, "the folder of changes is on an overlay itself");
            return None;
        }
        Some(kept)
    }

    /// The same where none are put on disk.
    pub fn anywhere() -> Self {
        Self {
            project: Project::new(),
            state: Project::new(),
        }
    }

    /// The name under which its changes are kept.
    pub fn name(&self) -> String {
        let name = self.project.path().file_name().unwrap();
        name.to_str().unwrap().to_owned()
    }

    /// The folder of all changes.
    fn store(&self) -> PathBuf {
        if is_root() {
            return "/var/lib/sandbox/changes".into();
        }
        self.state.path().join("sandbox/changes")
    }

    fn upper(&self) -> PathBuf {
        self.store().join(self.name()).join("layers/upper")
    }

    pub fn with(&self, command: &mut Command) -> Done {
        done(command.env("XDG_STATE_HOME", self.state.path()))
    }

    /// A shell script under a profile that keeps.
    pub fn run(&self, script: &str) -> Done {
        self.run_under(KEEP, script)
    }

    pub fn run_under(&self, profile: &str, script: &str) -> Done {
        self.with(&mut self.command(profile, script))
    }

    fn command(&self, profile: &str, script: &str) -> Command {
        // Not in the project, which is to hold nothing but what a test puts there.
        let file = self.state.write("profile.toml", profile);
        let arguments = [
            "--profile",
            file.to_str().unwrap(),
            "--",
            "sh",
            "-c",
            script,
        ];
        self.project.program(&arguments)
    }

    /// Starts what says `go`, and waits until it has.
    fn begin(&self, command: &mut Command) -> std::process::Child {
        command.env("XDG_STATE_HOME", self.state.path());
        let mut run = command
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = [0; 3];
        std::io::Read::read_exact(run.stdout.as_mut().unwrap(), &mut line).unwrap();
        run
    }

    /// `sandbox changes ACTION NAME …`.
    pub fn changes(&self, action: &str, more: &[&str]) -> Done {
        let name = self.name();
        let mut arguments = vec!["changes", action, &name];
        arguments.extend(more);
        self.with(&mut self.project.program(&arguments))
    }

    /// What is told: change, path, aspects.
    pub fn told(&self) -> Vec<(String, String, Vec<String>)> {
        let data = self.changes("list", &["--json"]).ok();
        let data: serde_json::Value = serde_json::from_str(&data).unwrap();
        let list = data["changes"].as_array().unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        list.iter()
            .map(|change| {
                let aspects = change["aspects"].as_array().unwrap().iter().map(text);
                (
                    text(&change["change"]),
                    text(&change["path"]),
                    aspects.collect(),
                )
            })
            .collect()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.changes("discard", &[]);
    }
}

/// What is below a folder: path, what it is, and what it holds.
fn tree(folder: &Path) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(at) = todo.pop() {
        for entry in std::fs::read_dir(at).unwrap().flatten() {
            let path = entry.path();
            let metadata = path.symlink_metadata().unwrap();
            let holds = if metadata.is_dir() {
                todo.push(path.clone());
                "directory".into()
            } else if metadata.is_symlink() {
                format!("-> {:?}", std::fs::read_link(&path).unwrap())
            } else {
                format!("{:?}", std::fs::read(&path).unwrap())
            };
            let name = path.strip_prefix(folder).unwrap().display().to_string();
            let mode = metadata.mode();
            found.insert((name, format!("{mode:o} {holds}")));
        }
    }
    found
}

/// A fixed project: `a`, `b`, `sub/c`, a link.
fn filled(kept: &Kept) {
    kept.project.write("a", "one\n");
    kept.project.write("b", "two\n");
    kept.project.write("sub/c", "three\n");
    symlink("a", kept.project.path().join("link")).unwrap();
}

#[test]
fn discarded_changes_are_seen_inside_and_nowhere_else() {
    for place in ["memory", "disk"] {
        let Some(kept) = Kept::new("discarded_changes_are_seen_inside_and_nowhere_else") else {
            return;
        };
        filled(&kept);
        let (before, mounted) = (tree(kept.project.path()), mounts());
        let profile =
            format!("version = 1\n[rootfs]\nproject = \"discard\"\nchanges_on = \"{place}\"");
        let script = "echo more >> a && rm -r sub && mkdir sub && echo new > sub/d && mv b bb &&
            rm link && ln -s b link && cat a bb sub/* && readlink link && ls sub";
        let run = kept.run_under(&profile, script).ok();
        assert_eq!(run, "one\nmore\ntwo\nnew\nb\nd\n", "{place}");
        assert_eq!(tree(kept.project.path()), before, "{place}");
        assert_eq!(mounts(), mounted, "{place}");
        let left = std::fs::read_dir(kept.store())
            .into_iter()
            .flatten()
            .flatten();
        let thrown = left.filter(|entry| {
            let name = entry.file_name().into_string().unwrap();
            name.starts_with(&format!(".thrown-{}-", std::process::id()))
        });
        assert_eq!(thrown.count(), 0, "{place}");
    }
}

#[test]
fn memory_that_is_full_is_the_commands_matter() {
    let kept = Kept::anywhere();
    filled(&kept);
    let before = tree(kept.project.path());
    let profile = |key: &str| format!("version = 1\n[rootfs]\nproject = \"discard\"\n{key}");
    let script = "head -c 4M /dev/zero > big; echo $?; echo alive";
    let full = kept.run_under(&profile("changes_size = \"1M\""), script);
    assert_eq!((full.code, &full.stdout[..]), (0, "1\nalive\n"), "{full:?}");
    assert!(full.stderr.contains("No space left"), "{full:?}");
    let script = "i=0; while touch f$i; do i=$((i+1)); [ $i -lt 200 ] || exit 0; done; exit 3";
    let full = kept.run_under(&profile("changes_inodes = 100"), script);
    assert_eq!(full.code, 3, "{full:?}");
    assert!(full.stderr.contains("No space left"), "{full:?}");
    assert_eq!(tree(kept.project.path()), before);
}

#[test]
fn what_was_in_a_directory_that_was_made_anew_is_gone() {
    let Some(kept) = Kept::new("what_was_in_a_directory_that_was_made_anew_is_gone") else {
        return;
    };
    kept.project.write("d/c/e/old", "old");
    kept.project.write("d/c/stays", "stays");
    // The directories of the same names below it have no mark of their own.
    let script = "rm -rf d; mkdir -p d/c/e; echo new >d/c/e/new; echo stays >d/c/stays";
    assert_eq!(kept.run(script).code, 0);
    let told: BTreeSet<_> = kept
        .told()
        .into_iter()
        .map(|(what, path, _)| format!("{what} {path}"))
        .collect();
    for line in ["added d/c/e/new", "deleted d/c/e/old", "modified d/c/stays"] {
        assert!(told.contains(line), "{line}: {told:?}");
    }
    assert_eq!(kept.changes("apply", &[]).code, 0);
    let folder = kept.project.path();
    assert!(folder.join("d/c/e/new").exists() && !folder.join("d/c/e/old").exists());
}

#[test]
fn what_is_kept_is_told_line_by_line_and_goes_on_in_the_next_run() {
    let Some(kept) = Kept::new("what_is_kept_is_told_line_by_line_and_goes_on_in_the_next_run")
    else {
        return;
    };
    filled(&kept);
    let before = tree(kept.project.path());
    let run = kept
        .run("echo more >> a; mv b moved; rm -r sub; mkdir sub; chmod 700 sub; ln -sf /etc link");
    assert_eq!(run.code, 0, "{run:?}");
    let name = kept.name();
    let hint = format!("`sandbox changes diff {name}`");
    assert!(
        run.stderr.contains(&hint) && run.stderr.lines().count() == 1,
        "{run:?}"
    );
    assert_eq!(tree(kept.project.path()), before);
    let expected = "\
modified  a (9 bytes instead of 4)
--- a/a
+++ b/a
@@ -1 +1,2 @@
 one
+more
deleted   b
--- a/b
+++ /dev/null
@@ -1 +0,0 @@
-two
modified  link (symlink to /etc instead of a)
added     moved (4 bytes, mode 644, moved from b)
--- /dev/null
+++ b/moved
@@ -0,0 +1 @@
+two
modified  sub/ (mode 700 instead of 755)
deleted   sub/c
--- a/sub/c
+++ /dev/null
@@ -1 +0,0 @@
-three
";
    std::fs::set_permissions(
        kept.project.path().join("sub"),
        std::fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    assert_eq!(kept.changes("diff", &[]).ok(), expected);
    let run = kept.run("cat a moved; ls sub");
    assert_eq!((run.code, &run.stdout[..]), (0, "one\nmore\ntwo\n"));
    assert_eq!(kept.changes("diff", &[]).ok(), expected);
    assert_eq!(kept.changes("discard", &[]).ok(), "");
    assert!(!kept.store().join(&name).exists());
    let words = kept.changes("diff", &[]).fails(125);
    assert!(words.contains(&format!("`{name}`")), "{words}");
}

#[test]
fn a_run_that_changes_nothing_leaves_nothing() {
    let Some(kept) = Kept::new("a_run_that_changes_nothing_leaves_nothing") else {
        return;
    };
    filled(&kept);
    assert_eq!(kept.run("cat a").ok(), "one\n");
    assert!(!kept.store().join(kept.name()).exists());
}

/// The two of `diff -r`, with what is below what is new or gone left out.
fn differences(old: &Path, new: &Path) -> BTreeSet<String> {
    let output = Command::new("diff")
        .args(["-rq", "--no-dereference"])
        .args([old, new])
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let relative = |path: &str| {
        let path = Path::new(path);
        let path = path.strip_prefix(old).or_else(|_| path.strip_prefix(new));
        path.unwrap().display().to_string()
    };
    text.lines()
        .map(|line| match line.strip_prefix("Only in ") {
            Some(rest) => {
                let (folder, name) = rest.split_once(": ").unwrap();
                relative(&format!("{folder}/{name}"))
            }
            None => relative(line.split(' ').nth(1).unwrap()),
        })
        .collect()
}

#[test]
fn the_changes_of_make_are_what_diff_shows_of_a_copy() {
    let Some(kept) = Kept::new("the_changes_of_make_are_what_diff_shows_of_a_copy") else {
        return;
    };
    let copy = Project::new();
    for project in [&kept.project, &copy] {
        project.write("one.c", "int one(void) { return 1; }\n");
        project.write(
            "main.c",
            "int one(void); int main(void) { return one() - 1; }\n",
        );
        project.write("old.log", "of last week\n");
        project.write(
            "Makefile",
            "all: out/prog\n\
             out/prog: one.c main.c\n\tmkdir -p out/deep\n\tcat one.c main.c > out/prog\n\tcp one.c out/deep/one.o\n\
             \techo built >> history\n\
             clean:\n\trm -rf out old.log\n",
        );
    }
    for goal in ["make", "make clean"] {
        let run = kept.run(goal);
        assert_eq!(run.code, 0, "{run:?}");
        let bare = Command::new("sh")
            .args(["-c", goal])
            .current_dir(copy.path())
            .output();
        assert!(bare.unwrap().status.success());
        let expected = differences(kept.project.path(), copy.path());
        let mut told: BTreeSet<_> = kept.told().into_iter().map(|(_, path, _)| path).collect();
        let added = told.clone();
        told.retain(|path| {
            let above = Path::new(path).ancestors().skip(1);
            !above
                .into_iter()
                .any(|above| added.contains(above.to_str().unwrap()))
        });
        assert_eq!(told, expected, "{goal}");
        assert!(!expected.is_empty(), "{goal}");
    }
    assert_eq!(kept.changes("apply", &[]).ok(), "");
    assert_eq!(tree(kept.project.path()), tree(copy.path()));
}

#[test]
fn one_name_is_for_one_run_and_one_tree() {
    let Some(kept) = Kept::new("one_name_is_for_one_run_and_one_tree") else {
        return;
    };
    filled(&kept);
    let name = kept.name();
    assert_eq!(kept.run("echo x > new").code, 0);
    // While a run goes on, nobody else has its changes.
    let mut command = kept.command(KEEP, "echo go; read line");
    let mut first = kept.begin(command.stdin(std::process::Stdio::piped()));
    let words = kept.run("echo ran").fails(125);
    assert!(words.contains("in use") && words.contains(&name), "{words}");
    assert!(words.contains("profile.toml:3:"), "{words}");
    for action in ["diff", "apply", "discard"] {
        let words = kept.changes(action, &[]).fails(125);
        assert!(words.contains("in use"), "{action}: {words}");
    }
    drop(first.stdin.take());
    first.wait().unwrap();
    // Nor does a run over another tree.
    let other = Project::new();
    let profile = format!("{KEEP}project_name = \"{name}\"\n");
    let words = kept
        .with(&mut other.script(&profile, "echo ran"))
        .fails(125);
    let project = kept.project.path().to_str().unwrap();
    assert!(
        words.contains(project) && words.contains("discard"),
        "{words}"
    );
}

#[test]
fn changes_survive_a_supervisor_that_is_killed() {
    let Some(kept) = Kept::new("changes_survive_a_supervisor_that_is_killed") else {
        return;
    };
    filled(&kept);
    let mut run = kept.begin(&mut kept.command(KEEP, "echo kept > new; echo go; exec sleep 1000"));
    run.kill().unwrap();
    run.wait().unwrap();
    // The sandbox ends with it, and until then the changes are in use.
    let mut next = kept.run("cat new");
    for _ in 0..500 {
        if next.code != 125 {
            break;
        }
        assert!(next.stderr.contains("in use"), "{next:?}");
        std::thread::sleep(std::time::Duration::from_millis(10));
        next = kept.run("cat new");
    }
    assert_eq!((next.code, &next.stdout[..]), (0, "kept\n"), "{next:?}");
}

#[test]
fn changes_that_the_machine_took_along_are_not_taken_for_whole() {
    let test = "changes_that_the_machine_took_along_are_not_taken_for_whole";
    let Some(kept) = Kept::new(test) else {
        return;
    };
    filled(&kept);
    let mark = kept.store().join(kept.name()).join("unsynced");
    // They are on the disk when a run is over, and noted as not being there while it goes on.
    let looked = kept.run("echo 1 > new").code;
    assert_eq!((looked, mark.is_symlink()), (0, false));
    let mut run = kept.begin(&mut kept.command(KEEP, "echo 2 > new; echo go; exec sleep 1000"));
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    assert_eq!(std::fs::read_link(&mark).unwrap(), Path::new(boot.trim()));
    run.kill().unwrap();
    run.wait().unwrap();
    let list = || kept.changes("list", &[]);
    for _ in 0..500 {
        if !list().stderr.contains("in use") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    // As long as the kernel runs that has them, they are whole.
    assert_eq!(kept.told(), [("added".into(), "new".into(), vec![])]);
    assert!(mark.is_symlink());
    std::fs::remove_file(&mark).unwrap();
    symlink("another-boot", &mark).unwrap();
    for refused in [
        list(),
        kept.changes("diff", &[]),
        kept.changes("apply", &[]),
        kept.run("echo started"),
    ] {
        let said = refused.fails(125);
        assert!(said.contains("may be incomplete"), "{said}");
        assert!(said.contains("discard"), "{said}");
    }
    let all = kept.with(&mut kept.project.program(&["changes", "list"]));
    assert!(all.ok().contains("may be incomplete"));
    assert!(!kept.project.path().join("new").exists());
    assert_eq!(kept.changes("discard", &[]).code, 0);
    assert_eq!(kept.run("echo 3 > new").code, 0);
    assert_eq!(kept.told(), [("added".into(), "new".into(), vec![])]);
}

#[test]
fn what_should_have_been_thrown_away_is_by_gc() {
    let Some(kept) = Kept::new("what_should_have_been_thrown_away_is_by_gc") else {
        return;
    };
    filled(&kept);
    let profile = "version = 1\n[rootfs]\nproject = \"discard\"\nchanges_on = \"disk\"";
    let mut run =
        kept.begin(&mut kept.command(profile, "mkdir -p x/y; chmod 0 x; echo go; exec sleep 1000"));
    let prefix = format!(".thrown-{}-", run.id());
    let left = || {
        let entries = std::fs::read_dir(kept.store()).unwrap().flatten();
        entries
            .filter(|e| e.file_name().to_str().unwrap().starts_with(&prefix))
            .count()
    };
    assert_eq!(left(), 1);
    run.kill().unwrap();
    run.wait().unwrap();
    for _ in 0..500 {
        let folder = kept.project.path().to_str().unwrap();
        assert_eq!(
            kept.with(&mut kept.project.program(&["gc", folder])).code,
            0
        );
        if left() == 0 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!(left(), 0);
}

#[test]
fn a_tree_that_has_changed_since_is_not_written_over() {
    let Some(kept) = Kept::new("a_tree_that_has_changed_since_is_not_written_over") else {
        return;
    };
    filled(&kept);
    kept.project.write("other", "same\n");
    let run =
        kept.run("echo inside > a; rm -r sub; echo inside > new; echo inside > b; echo x >> other");
    assert_eq!(run.code, 0, "{run:?}");
    kept.project.write("a", "outside\n");
    kept.project.write("sub/more", "outside\n");
    kept.project.write("new", "outside\n");
    std::fs::remove_file(kept.project.path().join("b")).unwrap();
    let before = tree(kept.project.path());
    let refused = kept.changes("apply", &[]);
    assert_eq!(refused.code, 1, "{refused:?}");
    for path in [
        "modified  a ",
        "deleted   sub/",
        "modified  new ",
        "added     b ",
    ] {
        let told = |line: &str| line.contains(path) && line.contains("CONFLICT");
        assert!(refused.stderr.lines().any(told), "{path}: {refused:?}");
    }
    assert_eq!(refused.stderr.matches("CONFLICT").count(), 4, "{refused:?}");
    assert_eq!(tree(kept.project.path()), before);
    assert_eq!(kept.changes("apply", &["--overwrite"]).ok(), "");
    let read = |name: &str| std::fs::read_to_string(kept.project.path().join(name)).unwrap();
    assert_eq!(
        (read("a"), read("new"), read("b")),
        ("inside\n".into(), "inside\n".into(), "inside\n".into())
    );
    assert!(!kept.project.path().join("sub").exists());
}

#[test]
fn nothing_is_taken_over_through_a_link() {
    let Some(kept) = Kept::new("nothing_is_taken_over_through_a_link") else {
        return;
    };
    let host = Project::new();
    host.write("victim/file", "untouched");
    kept.project.write("dir/file", "text");
    kept.project.write("dir/gone", "text");
    kept.project.write("dir/deep/file", "text");
    kept.project.write("plain", "text");
    let run = kept.run(
        "echo x > dir/file; rm dir/gone; echo x > dir/new; echo x > dir/deep/new; chmod 600 plain; echo x > link",
    );
    assert_eq!(run.code, 0, "{run:?}");
    let victim = host.path().join("victim");
    let before = tree(host.path());
    // A folder, and files, that have become links since.
    for name in ["dir", "plain"] {
        let path = kept.project.path().join(name);
        std::fs::rename(&path, kept.project.path().join(format!("{name}.away"))).unwrap();
    }
    symlink(&victim, kept.project.path().join("dir")).unwrap();
    symlink(victim.join("file"), kept.project.path().join("plain")).unwrap();
    symlink(victim.join("file"), kept.project.path().join("link")).unwrap();
    let refused = kept.changes("apply", &[]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert_eq!(tree(host.path()), before);
    // Asked to write over what is there: the links themselves are replaced.
    kept.changes("apply", &["--overwrite"]);
    assert_eq!(tree(host.path()), before);
    let metadata = |name: &str| kept.project.path().join(name).symlink_metadata().unwrap();
    assert!(metadata("link").is_file() && metadata("dir").is_dir() && metadata("plain").is_file());
}

#[test]
fn what_lies_aside_as_a_link_leads_nowhere_either() {
    let Some(kept) = Kept::new("what_lies_aside_as_a_link_leads_nowhere_either") else {
        return;
    };
    let host = Project::new();
    let secret = host.write("secret", "of the host");
    kept.project.write("file", "text");
    kept.project.write("dir/inner", "text");
    let target = secret.to_str().unwrap();
    let run = kept.run(&format!(
        "ln -sf {target} file; rm -r dir; ln -s {} dir; ln -s {target} new",
        host.path().display()
    ));
    assert_eq!(run.code, 0, "{run:?}");
    let told = kept.changes("diff", &[]).ok();
    assert!(
        told.contains("replaced  file") && !told.contains("of the host"),
        "{told}"
    );
    assert_eq!(kept.changes("apply", &[]).ok(), "");
    for name in ["file", "dir", "new"] {
        let path = kept.project.path().join(name);
        assert!(path.symlink_metadata().unwrap().is_symlink(), "{name}");
    }
    assert_eq!(std::fs::read_to_string(secret).unwrap(), "of the host");
}

#[test]
fn setuid_bits_are_told_and_taken_over_only_when_asked_for() {
    let Some(kept) = Kept::new("setuid_bits_are_told_and_taken_over_only_when_asked_for") else {
        return;
    };
    kept.project.write("old", "text");
    let profile = format!("{KEEP}[seccomp]\npreset = \"off\"");
    let run = kept.run_under(
        &profile,
        "echo x > tool; chmod 6755 tool; chmod 4755 old; mkdir g; chmod 2755 g",
    );
    assert_eq!(run.code, 0, "{run:?}");
    let told = kept.changes("list", &[]).ok();
    assert!(
        told.contains("tool (2 bytes, mode 6755 SETUID SETGID)"),
        "{told}"
    );
    let mode = |name: &str| kept.project.path().join(name).metadata().unwrap().mode() & 0o7777;
    let first = kept.changes("apply", &[]);
    assert_eq!(first.code, 1, "{first:?}");
    assert!(
        first.stderr.contains("tool is taken over without setuid"),
        "{first:?}"
    );
    assert!(
        first.stderr.contains("old is taken over without setuid"),
        "{first:?}"
    );
    assert_eq!(
        (mode("tool"), mode("old"), mode("g")),
        (0o755, 0o755, 0o2755)
    );
    assert_eq!(kept.changes("apply", &["--privileges"]).ok(), "");
    assert_eq!((mode("tool"), mode("old")), (0o6755, 0o4755));
}

#[test]
fn names_of_a_hostile_command_do_nothing_to_a_terminal() {
    let Some(kept) = Kept::new("names_of_a_hostile_command_do_nothing_to_a_terminal") else {
        return;
    };
    kept.project.write("a", "text\n");
    let script = "touch \"$(printf 'x\\033[31m\\n\\377')\"; printf 'a\\033]0;title\\007b\\n' > a;
        ln -s \"$(printf '\\033[2J')\" link";
    let run = kept.run(script);
    assert_eq!(run.code, 0, "{run:?}");
    for action in ["list", "diff"] {
        let told = kept.changes(action, &[]).ok();
        assert!(
            !told.contains('\u{1b}') && !told.contains('\u{7}'),
            "{told:?}"
        );
        assert!(told.contains("x\\u{1b}[31m\\n\\xff"), "{told}");
        assert!(told.contains("symlink to \\u{1b}[2J"), "{told}");
    }
    let data = kept.changes("diff", &["--json"]).ok();
    let data: serde_json::Value = serde_json::from_str(&data).unwrap();
    let list = data["changes"].as_array().unwrap();
    let odd = list
        .iter()
        .find(|c| c["path"].as_str().unwrap().starts_with('x'))
        .unwrap();
    assert_eq!(odd["path_bytes"], "781b5b33316d0aff");
    assert_eq!(kept.changes("apply", &[]).ok(), "");
    use std::os::unix::ffi::OsStrExt as _;
    let name = std::ffi::OsStr::from_bytes(b"x\x1b[31m\n\xff");
    assert!(kept.project.path().join(name).exists());
}

/// Only root makes a device; what lies aside is written to here as if a command could.
#[test]
fn a_device_is_told_from_what_is_gone() {
    if !is_root() {
        return crate::support::skip(
            "a_device_is_told_from_what_is_gone",
            "only root makes devices",
        );
    }
    let Some(kept) = Kept::new("a_device_is_told_from_what_is_gone") else {
        return;
    };
    kept.project.write("gone", "text");
    assert_eq!(kept.run("rm gone; echo x > new").code, 0);
    let device = kept.upper().join("device");
    let made = Command::new("mknod")
        .arg(&device)
        .args(["c", "1", "3"])
        .status()
        .unwrap();
    assert!(made.success());
    let told = kept.changes("list", &[]).ok();
    assert!(told.contains("deleted   gone\n"), "{told}");
    assert!(
        told.contains("added     device (character-device 1:3"),
        "{told}"
    );
    let first = kept.changes("apply", &[]);
    assert_eq!(first.code, 1, "{first:?}");
    assert!(first.stderr.contains("--devices"), "{first:?}");
    assert!(
        !kept.project.path().join("device").exists() && !kept.project.path().join("gone").exists()
    );
    assert_eq!(kept.changes("apply", &["--devices"]).ok(), "");
    let made = kept.project.path().join("device").metadata().unwrap();
    assert_eq!(made.rdev(), libc::makedev(1, 3));
}

#[test]
fn extended_attributes_are_told_and_taken_over() {
    let Some(kept) = Kept::new("extended_attributes_are_told_and_taken_over") else {
        return;
    };
    let old = kept.project.write("old", "text");
    let plain = kept.project.write("plain", "text");
    let set = |path: &Path, key: &str, value: &[u8]| {
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(path, key, value, flags).unwrap();
    };
    let get = |path: &Path, key: &str| {
        let mut value = [0u8; 64];
        let length = rustix::fs::getxattr(path, key, &mut value[..]).ok()?;
        Some(value[..length].to_vec())
    };
    set(&old, "user.first", b"1");
    set(&plain, "user.kept", b"k");
    let script = "python3 - <<'END'
import os
os.removexattr('old', 'user.first')
os.setxattr('old', 'user.second', b'2')
open('plain', 'a').write('more')
os.mkdir('dir')
os.setxattr('dir', 'user.d', b'3')
END";
    let profile = format!("{KEEP}[process]\ncwd = \"${{PWD}}\"\n");
    let run = kept.run_under(&profile, &script.replace("python3", "/usr/bin/python3"));
    assert_eq!(run.code, 0, "{run:?}");
    let told = kept.changes("list", &[]).ok();
    assert!(
        told.contains("modified  old (no xattr user.first, a new xattr user.second)"),
        "{told}"
    );
    assert!(
        told.contains("modified  plain (8 bytes instead of 4)"),
        "{told}"
    );
    assert_eq!(kept.changes("apply", &[]).ok(), "");
    assert_eq!(
        (get(&old, "user.first"), get(&old, "user.second")),
        (None, Some(b"2".to_vec()))
    );
    assert_eq!(get(&plain, "user.kept"), Some(b"k".to_vec()));
    assert_eq!(
        get(&kept.project.path().join("dir"), "user.d"),
        Some(b"3".to_vec())
    );
    let left = rustix::fs::listxattr(&old, &mut [0u8; 256][..]).unwrap();
    assert_eq!(left, "user.second\0".len());
}

#[test]
fn a_single_mount_keeps_and_discards_too() {
    let Some(kept) = Kept::new("a_single_mount_keeps_and_discards_too") else {
        return;
    };
    let data = Project::new();
    data.write("file", "old\n");
    let before = tree(data.path());
    let bind = |keys: &str| {
        format!(
            "version = 1\n[[mounts]]\ntype = \"bind\"\ntarget = \"/data\"\nsource = \"{}\"\n{keys}",
            data.path().display()
        )
    };
    let script = "echo new > /data/file && mkdir /data/made && cat /data/file";
    let run = kept.run_under(&bind("changes = \"discard\"\nsize = \"1M\""), script);
    assert_eq!(run.ok(), "new\n");
    assert_eq!(tree(data.path()), before);
    let name = kept.name();
    let keys = format!("changes = \"keep\"\nchanges_name = \"{name}\"");
    let run = kept.run_under(&bind(&keys), script);
    assert_eq!((run.code, &run.stdout[..]), (0, "new\n"), "{run:?}");
    assert_eq!(tree(data.path()), before);
    assert_eq!(kept.changes("apply", &[]).ok(), "");
    assert_eq!(
        std::fs::read_to_string(data.path().join("file")).unwrap(),
        "new\n"
    );
    assert!(data.path().join("made").is_dir());
    // The other two words are `read_only`.
    let run = kept.run_under(&bind("changes = \"forbid\""), "touch /data/x || echo no");
    assert_eq!(run.stdout, "no\n");
    assert_eq!(
        kept.run_under(&bind("changes = \"write\""), "touch /data/x")
            .code,
        0
    );
    assert!(data.path().join("x").exists());
}

#[test]
fn changes_to_a_root_are_kept_without_what_the_sandbox_makes_in_it() {
    let test = "changes_to_a_root_are_kept_without_what_the_sandbox_makes_in_it";
    let Some(root) = crate::mounts::tiny_root(test) else {
        return;
    };
    let Some(kept) = Kept::new("changes_to_a_root_are_kept_without_what_the_sandbox_makes_in_it")
    else {
        return;
    };
    kept.project.write("in-project", "text\n");
    let before = tree(root.path());
    let name = kept.name();
    let user = if is_root() { "auto" } else { "root" };
    for (changes, made) in [("discard", false), ("keep", true)] {
        let named = if made {
            format!("changes_name = \"{name}\"\n")
        } else {
            String::new()
        };
        let profile = format!(
            "version = 1\n[rootfs]\ndirectory = \"{}\"\nchanges = \"{changes}\"\n{named}[user]\nuid_map = \"{user}\"",
            root.path().display()
        );
        let nothing = kept.run_under(&profile, "true");
        assert_eq!((nothing.code, &nothing.stderr[..]), (0, ""), "{nothing:?}");
        assert!(!kept.store().join(&name).exists());
        let script =
            "echo changed > /etc/os-release && mkdir /srv && cat in-project /etc/os-release";
        let run = kept.run_under(&profile, script);
        assert_eq!(
            (run.code, &run.stdout[..]),
            (0, "text\nchanged\n"),
            "{changes}: {run:?}"
        );
        assert_eq!(tree(root.path()), before, "{changes}");
    }
    let told: Vec<_> = kept
        .told()
        .into_iter()
        .map(|(what, path, _)| (what, path))
        .collect();
    let expected = [("modified", "etc/os-release"), ("added", "srv")];
    let expected = expected.map(|(what, path)| (what.to_owned(), path.to_owned()));
    assert_eq!(told, expected);
    assert_eq!(kept.changes("apply", &[]).ok(), "");
    let mut after = tree(root.path());
    after.retain(|(path, _)| path != "srv" && path != "etc/os-release");
    let mut rest = before;
    rest.retain(|(path, _)| path != "etc/os-release");
    assert_eq!(after, rest);
    let owner = |path: &str| root.path().join(path).metadata().unwrap().uid();
    assert_eq!(owner("srv"), nix::unistd::geteuid().as_raw());
    assert_eq!(owner("etc/os-release"), nix::unistd::geteuid().as_raw());
}

#[test]
fn what_is_mounted_in_a_tree_that_is_kept_is_no_change_to_it() {
    let test = "what_is_mounted_in_a_tree_that_is_kept_is_no_change_to_it";
    let Some(kept) = Kept::new(test) else { return };
    kept.project.write("there/file", "text");
    let project = kept.project.path().display();
    let mounts = ["deep/new/folder", "there"]
        .map(|at| format!("[[mounts]]\ntype = \"tmpfs\"\ntarget = \"{project}/{at}\"\n"));
    let profile = format!(
        "{KEEP}{}[[mounts]]\ntype = \"file\"\ntarget = \"{project}/made\"\ncontents = \"x\"",
        mounts.concat()
    );
    let script = "touch deep/new/folder/x there/y && cat made && ls there && echo z > deep/z";
    for _ in 0..2 {
        let run = kept.run_under(&profile, script);
        assert_eq!((run.code, &run.stdout[..]), (0, "xy\n"), "{run:?}");
        let told = kept
            .told()
            .into_iter()
            .map(|(what, path, _)| format!("{what} {path}"));
        assert_eq!(told.collect::<Vec<_>>(), ["added deep", "added deep/z"]);
    }
    assert_eq!(kept.changes("apply", &[]).ok(), "");
    let names: Vec<_> = tree(kept.project.path())
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["deep", "deep/z", "there", "there/file"]);
}

/// A mount of one's own takes root, or a namespace in which one is.
#[test]
fn what_may_not_be_executed_on_the_host_may_not_be_in_an_overlay() {
    let test = "what_may_not_be_executed_on_the_host_may_not_be_in_an_overlay";
    if !is_root() {
        return crate::support::skip(test, "only root can mount something");
    }
    let kept = Kept::anywhere();
    let data = Project::new();
    let mount = |arguments: &[&str]| {
        let done = Command::new("mount").args(arguments).status().unwrap();
        assert!(done.success());
    };
    let at = data.path().to_str().unwrap();
    mount(&["-t", "tmpfs", "-o", "noexec", "none", at]);
    data.executable("tool", "#!/bin/sh\necho ran\n");
    let profile = format!(
        "version = 1\n[[mounts]]\ntype = \"bind\"\ntarget = \"/data\"\nsource = \"{at}\"\nchanges = \"discard\""
    );
    let run = kept.run_under(&profile, "touch /data/new && /data/tool");
    let unmounted = Command::new("umount").arg(at).status().unwrap();
    assert!(unmounted.success());
    assert_eq!((run.code, &run.stdout[..]), (126, ""), "{run:?}");
}

#[test]
fn a_link_on_the_way_to_the_tree_leads_nowhere() {
    let test = "a_link_on_the_way_to_the_tree_leads_nowhere";
    let Some(kept) = Kept::new(test) else { return };
    let host = Project::new();
    host.write("file", "untouched");
    kept.project.write("tree/file", "text");
    let (project, name) = (kept.project.path().display(), kept.name());
    let profile = format!(
        "version = 1\n[[mounts]]\ntype = \"bind\"\ntarget = \"/data\"\nsource = \"{project}/tree\"\nchanges = \"keep\"\nchanges_name = \"{name}\""
    );
    // The project itself can be written to.
    let script = format!(
        "echo x > /data/file; mv tree away; ln -s {} tree",
        host.path().display()
    );
    let run = kept.run_under(&profile, &script);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(kept.project.path().join("tree").is_symlink());
    for action in ["diff", "apply"] {
        let words = kept.changes(action, &[]).fails(125);
        assert!(words.contains("cannot open"), "{words}");
    }
    assert_eq!(
        std::fs::read_to_string(host.path().join("file")).unwrap(),
        "untouched"
    );
}

#[test]
fn a_tree_however_deep_is_removed() {
    let Some(kept) = Kept::new("a_tree_however_deep_is_removed") else {
        return;
    };
    kept.project.write("file", "text");
    let script =
        "i=0; while [ $i -lt 1200 ]; do mkdir d && cd -P d || exit 1; touch f; i=$((i+1)); done";
    let run = kept.run(script);
    assert_eq!(run.code, 0, "{run:?}");
    let words = kept.changes("diff", &[]).fails(125);
    assert!(words.contains("too long"), "{words}");
    assert_eq!(kept.changes("discard", &[]).ok(), "");
    assert!(!kept.store().join(kept.name()).exists());
}

#[test]
fn what_cannot_be_an_overlay_is_refused_with_its_line() {
    let kept = Kept::anywhere();
    kept.project.write("file", "text");
    let file = kept.project.path().join("file");
    let bind = |source: &str| {
        format!(
            "version = 1\n[[mounts]]\ntype = \"bind\"\ntarget = \"/data\"\nsource = \"{source}\"\nchanges = \"discard\""
        )
    };
    let words = kept
        .run_under(&bind(file.to_str().unwrap()), "echo ran")
        .fails(125);
    assert!(
        words.contains("profile.toml:6:") && words.contains("no directory"),
        "{words}"
    );
    if !is_root() {
        // What the ids of others own, nobody could remove.
        let profile = format!("{KEEP}[user]\nuid_map = \"auto\"");
        let words = kept.run_under(&profile, "echo ran").fails(125);
        assert!(
            words.contains("profile.toml:3:") && words.contains("other ids"),
            "{words}"
        );
    }
    // /dev has others mounted in it.
    let words = kept.run_under(&bind("/dev"), "echo ran").fails(125);
    assert!(words.contains("mounted below /dev"), "{words}");
    let words = kept
        .run_under("version = 1\n[rootfs]\nchanges = \"keep\"", "echo ran")
        .fails(125);
    assert!(words.contains("profile.toml:3:"), "{words}");
}

#[test]
fn why_says_what_becomes_of_changes() {
    let kept = Kept::anywhere();
    kept.project.write("file", "text");
    for (project, words) in [("keep", "put aside"), ("discard", "thrown away")] {
        let profile = format!("version = 1\n[rootfs]\nproject = \"{project}\"");
        let profile = kept.state.write("profile.toml", profile);
        let file = kept.project.path().join("file");
        let arguments = [
            "why",
            profile.to_str().unwrap(),
            "write",
            file.to_str().unwrap(),
        ];
        let answer = kept.with(&mut kept.project.program(&arguments)).ok();
        assert!(
            answer.starts_with("allowed") && answer.contains(words),
            "{answer}"
        );
    }
}
