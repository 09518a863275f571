//! `sandbox diff`, `sandbox score`, and ceilings.

use crate::{Folder, refused};
use std::process::{Command, Output};

/// A project with two profiles.
fn two(before: &str, after: &str) -> Folder {
    let folder = Folder::with("");
    folder.write("before.toml", before);
    folder.write("after.toml", after);
    folder
}

/// The exit code and stdout of a command that has nothing to complain about.
#[track_caller]
fn said(folder: &Folder, command: &mut Command) -> (i32, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&stderr), "");
    let stdout = String::from_utf8(stdout).unwrap();
    let stdout = stdout.replace(folder.0.to_str().unwrap(), "[project]");
    (status.code().unwrap(), stdout)
}

#[track_caller]
fn diff(folder: &Folder) -> (i32, String) {
    said(
        folder,
        &mut folder.program(&["diff", "before.toml", "after.toml"]),
    )
}

#[test]
fn what_a_change_widens_comes_first_and_the_worst_of_it() {
    let folder = two(
        r#"
[limits]
memory = "1G"
wall_time = "10m"

[rootfs]
project = "read"
"#,
        r#"
[limits]
memory = "2G"
wall_time = "5m"

[network]
mode = "host"

[environment]
inherit = ["CI"]
set = { HOST = "${env:HOSTNAME:-none}" }

[capabilities]
keep = ["net_raw", "chown"]

[seccomp]
allow = ["bpf", "perf_event_open", "unshare"]
deny = ["ptrace"]

[[mounts]]
type = "bind"
target = "/srv/data"
read_only = false

[[mounts]]
type = "mask"
target = "/srv/data/secret"
"#,
    );
    let (code, text) = diff(&folder);
    assert_eq!(code, 1);
    insta::assert_snapshot!(text, @"
    exposure: 0.6 (safe) to 3.0 (ok)

    after.toml permits, and before.toml does not:
      + use the host's network
          after.toml:6
          before.toml: use a loopback of its own (default of network.mode)
      + read, write and execute /srv/data, without /srv/data/secret
          after.toml:19
      + read, write and execute [project] (the project)
          default of rootfs.project
          before.toml: read and execute [project] (the project) (before.toml:6)
      + keep the capability chown
          after.toml:13
          before.toml: not keep the capability chown (default of capabilities)
      + keep the capability net_raw
          after.toml:13
          before.toml: not keep the capability net_raw (default of capabilities)
      + make system calls of @namespaces: unshare
          after.toml:16
          before.toml: not make system calls of @namespaces (default of seccomp.preset)
      + make system calls of @kernel-surface: bpf
          after.toml:16
          before.toml: not make system calls of @kernel-surface (default of seccomp.preset)
      + make system calls of @kernel-surface: perf_event_open
          after.toml:16
          before.toml: not make system calls of @kernel-surface (default of seccomp.preset)
      + be told the caller's variable CI
          after.toml:9
      + be told the caller's variable HOSTNAME
          after.toml:10
      + use every port there
          after.toml:6
      + use 2G of memory
          after.toml:2
          before.toml: use 1G of memory (before.toml:2)

    before.toml permits, and after.toml does not:
      - make system calls of @trace: ptrace
          default of seccomp.preset
          after.toml: not make system calls of @trace (after.toml:17)
      - run for 10m
          before.toml:3
          after.toml: run for 5m (after.toml:3)
    ");
}

#[test]
fn a_change_that_only_narrows_is_no_failure() {
    let (code, text) = diff(&two("", "[network]\nmode = \"none\"\n"));
    assert_eq!(code, 0);
    insta::assert_snapshot!(text, @"
    exposure: 1.1 (ok) to 1.0 (ok)

    before.toml permits, and after.toml does not:
      - use a loopback of its own
          default of network.mode
          after.toml: use no network (after.toml:2)
    ");
}

#[test]
fn the_same_in_other_words() {
    let (code, text) = diff(&two(
        "# the defaults\n",
        "[network]\nmode = \"loopback\"\n[namespaces]\npid = \"new\"\n",
    ));
    assert_eq!(code, 0);
    insta::assert_snapshot!(text, @"
    exposure: 1.1 (ok) to 1.1 (ok)

    before.toml and after.toml permit the same
    ");
}

#[test]
fn a_comparison_as_json() {
    let folder = two(
        "[limits]\npids = 10\n",
        "[limits]\npids = 9\n[seccomp]\nallow = [\"bpf\", \"syslog\"]\n",
    );
    let (code, text) = said(
        &folder,
        &mut folder.program(&["diff", "--json", "before.toml", "after.toml"]),
    );
    assert_eq!(code, 1);
    insta::assert_snapshot!(text, @r#"
    {
      "after": {
        "exposure": {
          "value": 0.9,
          "word": "safe"
        },
        "profile": "after.toml"
      },
      "before": {
        "exposure": {
          "value": 0.9,
          "word": "safe"
        },
        "profile": "before.toml"
      },
      "narrowed": [
        {
          "area": "limits",
          "danger": 0,
          "keys": [
            "limit:pids"
          ],
          "may": "start 10 processes",
          "origin": {
            "column": 8,
            "file": "before.toml",
            "line": 2
          },
          "other": {
            "may": "start 9 processes",
            "origin": {
              "column": 8,
              "file": "after.toml",
              "line": 2
            }
          }
        }
      ],
      "widened": [
        {
          "area": "system calls",
          "danger": 1710,
          "keys": [
            "syscall:bpf"
          ],
          "may": "make system calls of @kernel-surface: bpf",
          "origin": {
            "column": 10,
            "file": "after.toml",
            "line": 4
          },
          "other": {
            "may": "not make system calls of @kernel-surface",
            "origin": {
              "text": "default of seccomp.preset"
            }
          }
        },
        {
          "area": "system calls",
          "danger": 1710,
          "keys": [
            "syscall:syslog"
          ],
          "may": "make system calls of @kernel-surface: syslog",
          "origin": {
            "column": 17,
            "file": "after.toml",
            "line": 4
          },
          "other": {
            "may": "not make system calls of @kernel-surface",
            "origin": {
              "text": "default of seccomp.preset"
            }
          }
        }
      ]
    }
    "#);
}

#[test]
fn all_that_is_wrong_with_both() {
    let folder = two("version = 2\n", "hostnam = \"x\"\n");
    let arguments = ["diff", "before.toml", "after.toml"];
    insta::assert_snapshot!(refused(&folder, &mut folder.program(&arguments)), @r#"
    error[SBX0004]: version 2 of the language is not known to this program
     --> before.toml:1:11
      |
    1 | version = 2
      |           ^
      |
      = help: write `version = 1`, or use a newer sandbox

    error[SBX0003]: there is no key `hostnam` in the profile
     --> after.toml:1:1
      |
    1 | hostnam = "x"
      | ^^^^^^^
      |
      = help: did you mean `hostname`?
    "#);
}

#[test]
fn an_exposure_and_its_parts() {
    let folder = Folder::with(
        r#"
[network]
mode = "host"

[limits]
pids = 100
memory = "1G"
cpu = 1
wall_time = "10m"

[[mounts]]
type = "bind"
target = "/var/lib/x"
"#,
    );
    let (code, text) = said(&folder, &mut folder.program(&["score"]));
    assert_eq!(code, 0);
    insta::assert_snapshot!(text, @"
    [project]/sandbox.toml: exposure 2.0 (ok)
      1.44  network       use the host's network ([project]/sandbox.toml:2)
      0.24  filesystem    read, write and execute [project] (the project) (default of rootfs.project)
      0.07  filesystem    read and execute the host's programs, libraries and settings (/usr, /etc, /opt, …) (default of rootfs)
      0.07  filesystem    read and execute /var/lib/x ([project]/sandbox.toml:10)
      0.03  limits        use all processors (default of limits)
      0.02  system calls  make system calls of @trace: ptrace, process_vm_readv, process_vm_writev (default of seccomp.preset)
      0.01  system calls  make system calls of @network-io: connect, bind, setsockopt (default of seccomp.preset)
      0.08  30 smaller ones (--json lists them)
    ");
    for (threshold, exit) in [("2.5", 0), ("0.5", 1)] {
        let (code, _) = said(
            &folder,
            &mut folder.program(&["score", "--threshold", threshold]),
        );
        assert_eq!(code, exit, "{threshold}");
    }
    let (_, json) = said(
        &folder,
        &mut folder.program(&["score", "--json", "default", "sandbox.toml"]),
    );
    assert!(
        json.contains("\"limit:cpuset\"") && json.contains("\"exposure\""),
        "{json}"
    );
    let wrong = folder
        .program(&["score", "--threshold", "11"])
        .output()
        .unwrap();
    assert_eq!(wrong.status.code(), Some(125));
}

/// What `sandbox explain` says about a profile under a ceiling.
#[track_caller]
fn under(ceiling: &str, profile: &str) -> String {
    let folder = Folder::with(profile);
    folder.write("admin.toml", ceiling);
    let arguments = ["explain", "--ceiling", "admin.toml", "--", "true"];
    refused(&folder, &mut folder.program(&arguments))
}

#[test]
fn both_lines_are_named() {
    let wrong = under(
        r#"
[network]
mode = "none"

[limits]
memory = "1G"

[seccomp]
deny = ["ptrace"]

[[mounts]]
type = "bind"
target = "/srv"

[[mounts]]
type = "mask"
target = "/srv/secret"
"#,
        r#"
[network]
mode = "host"

[limits]
memory = "2G"

[[mounts]]
type = "bind"
target = "/a"
source = "/srv/secret/keys"

[[mounts]]
type = "bind"
target = "/b"
source = "/srv/data"
read_only = false

[[mounts]]
type = "bind"
target = "/var/log"
"#,
    );
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0110]: the profile exceeds the ceiling admin.toml: it may use every port there
     --> [project]/sandbox.toml:2:8
      |
    2 | mode = "host"
      |        ^^^^^^
      |
     ::: admin.toml:1:1
      |
    1 | [network]
      | - nothing in admin.toml permits this
      |
      = help: permit less in the profile, or have admin.toml permit more

    error[SBX0110]: the profile exceeds the ceiling admin.toml: it may use the host's network
     --> [project]/sandbox.toml:2:8
      |
    2 | mode = "host"
      |        ^^^^^^
      |
     ::: admin.toml:2:8
      |
    2 | mode = "none"
      |        ------ admin.toml permits at most: use no network
      |
      = help: permit less in the profile, or have admin.toml permit more

    error[SBX0110]: the profile exceeds the ceiling admin.toml: it may use 2G of memory
     --> [project]/sandbox.toml:5:10
      |
    5 | memory = "2G"
      |          ^^^^
      |
     ::: admin.toml:5:10
      |
    5 | memory = "1G"
      |          ---- admin.toml permits at most: use 1G of memory
      |
      = help: permit less in the profile, or have admin.toml permit more

    error[SBX0110]: the profile exceeds the ceiling admin.toml: it may read and execute /srv/secret/keys
      --> [project]/sandbox.toml:7:1
       |
     7 | [[mounts]]
       | ^^^^^^^^^^
       |
      ::: admin.toml:14:1
       |
    14 | [[mounts]]
       | ---------- admin.toml permits at most: not see /srv/secret
       |
       = help: permit less in the profile, or have admin.toml permit more

    error[SBX0110]: the profile exceeds the ceiling admin.toml: it may read, write and execute /srv/data
      --> [project]/sandbox.toml:12:1
       |
    12 | [[mounts]]
       | ^^^^^^^^^^
       |
      ::: admin.toml:10:1
       |
    10 | [[mounts]]
       | ---------- admin.toml permits at most: read and execute /srv, without /srv/secret
       |
       = help: permit less in the profile, or have admin.toml permit more

    error[SBX0110]: the profile exceeds the ceiling admin.toml: it may read and execute /var/log
      --> [project]/sandbox.toml:18:1
       |
    18 | [[mounts]]
       | ^^^^^^^^^^
       |
      ::: admin.toml:1:1
       |
     1 | [network]
       | - nothing in admin.toml permits this
       |
       = help: permit less in the profile, or have admin.toml permit more

    error[SBX0110]: the profile exceeds the ceiling admin.toml: it may make system calls of @trace: ptrace
     --> default of seccomp.preset
      |
     ::: admin.toml:8:9
      |
    8 | deny = ["ptrace"]
      |         -------- admin.toml permits at most: not make system calls of @trace
      |
      = help: permit less in the profile, or have admin.toml permit more
    "#);
}

#[test]
fn what_the_profile_does_not_say_counts_too() {
    let wrong = under("[limits]\npids = 100\n", "hostname = \"x\"\n");
    insta::assert_snapshot!(wrong, @"
    error[SBX0110]: the profile exceeds the ceiling admin.toml: it may start any number of processes
     --> default of limits
      |
     ::: admin.toml:2:8
      |
    2 | pids = 100
      |        --- admin.toml permits at most: start 100 processes
      |
      = help: permit less in the profile, or have admin.toml permit more
    ");
}

#[test]
fn one_line_that_opens_much_is_one_refusal() {
    let wrong = under("version = 1\n", "[seccomp]\npreset = \"off\"\n");
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0110]: the profile exceeds the ceiling admin.toml: it may make sockets of any family
     --> [project]/sandbox.toml:2:10
      |
    2 | preset = "off"
      |          ^^^^^
      |
     ::: admin.toml:1:1
      |
    1 | version = 1
      | - nothing in admin.toml permits this
      |
      = help: permit less in the profile, or have admin.toml permit more

    error[SBX0110]: the profile exceeds the ceiling admin.toml: it may make system calls of @module: init_module, finit_module, delete_module; make system calls of @mount: mount, umount2, pivot_root, chroot, fsopen, fsconfig, fsmount, fspick and 4 more; make system calls of @kernel-surface: bpf, perf_event_open, userfaultfd, lookup_dcookie, syslog, fanotify_init, fanotify_mark; and 25 more
     --> [project]/sandbox.toml:2:10
      |
    2 | preset = "off"
      |          ^^^^^
      |
      = note: default of seccomp.preset: admin.toml permits at most: not make system calls of @module
      = help: permit less in the profile, or have admin.toml permit more
    "#);
}

/// Through whichever string the value would come in.
#[test]
fn a_variable_that_the_ceiling_does_not_tell() {
    let folder = Folder::with("hostname = \"\\u0024{env:SECRET}\"\n");
    folder.write("admin.toml", "[environment]\ninherit = [\"CI\"]\n");
    let arguments = ["explain", "--ceiling", "admin.toml", "--", "true"];
    let wrong = refused(&folder, folder.program(&arguments).env("SECRET", "hunter2"));
    insta::assert_snapshot!(wrong, @r#"
    error[SBX0110]: the profile exceeds the ceiling admin.toml: it may be told the caller's variable SECRET
     --> [project]/sandbox.toml:1:12
      |
    1 | hostname = "\u0024{env:SECRET}"
      |            ^^^^^^^^^^^^^^^^^^^^
      |
     ::: admin.toml:1:1
      |
    1 | [environment]
      | - nothing in admin.toml permits this
      |
      = help: permit less in the profile, or have admin.toml permit more
    "#);
}

#[test]
fn a_ceiling_that_is_wrong() {
    insta::assert_snapshot!(under("[network]\nmode = \"off\"\n", "version = 1\n"), @r#"
    error[SBX0004]: `off` is none of the choices
     --> admin.toml:2:8
      |
    2 | mode = "off"
      |        ^^^^^
      |
      = help: one of: "none", "loopback", "host", "veth", "macvlan", "user", "join"
    "#);
}

#[test]
fn a_ceiling_that_hides_what_a_link_leads_to() {
    let folder = Folder::with("version = 1\n");
    std::os::unix::fs::symlink("target", folder.0.join("link")).unwrap();
    folder.write(
        "admin.toml",
        "[[mounts]]\ntype = \"mask\"\ntarget = \"${PROJECT}/link/x\"\n",
    );
    let arguments = ["explain", "--ceiling", "admin.toml", "--", "true"];
    insta::assert_snapshot!(refused(&folder, &mut folder.program(&arguments)), @"
    error[SBX0112]: the ceiling admin.toml hides [project]/link/x, which a symbolic link on this machine leads to
     --> admin.toml:1:1
      |
    1 | [[mounts]]
      | ^^^^^^^^^^
      |
      = help: name the place that the link leads to
    ");
}

/// A project could otherwise bring its own.
#[test]
fn the_name_of_a_ceiling_is_not_looked_up_in_the_project() {
    let folder = Folder::with("[network]\nmode = \"host\"\n");
    folder.write("default.toml", "[network]\nmode = \"host\"\n");
    let arguments = ["explain", "--ceiling", "default", "--", "true"];
    let wrong = refused(&folder, &mut folder.program(&arguments));
    assert!(
        wrong.contains("built-in:default.toml permits at most"),
        "{wrong}"
    );
}

#[test]
fn every_ceiling_holds() {
    let folder = Folder::with("[limits]\npids = 20\nmemory = \"1G\"\n");
    folder.write("one.toml", "[limits]\npids = 10\n");
    folder.write("two.toml", "[limits]\nmemory = \"1M\"\n");
    let arguments = [
        "explain",
        "--ceiling",
        "one.toml",
        "--ceiling",
        "two.toml",
        "--",
        "true",
    ];
    let wrong = refused(&folder, &mut folder.program(&arguments));
    assert!(
        wrong.contains("exceeds the ceiling one.toml: it may start 20 processes"),
        "{wrong}"
    );
    assert!(
        wrong.contains("exceeds the ceiling two.toml: it may use 1G of memory"),
        "{wrong}"
    );
}

/// Git in a folder, without the configuration of this machine.
fn git(folder: &Folder, arguments: &[&str]) {
    let output = Command::new("git")
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"])
        .args(["-c", "init.defaultBranch=main"])
        .args(arguments)
        .current_dir(&folder.0)
        .env("HOME", &folder.0)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .expect("git is installed");
    assert!(output.status.success(), "{output:?}");
}

/// A repository whose first revision has no network.
fn repository() -> Folder {
    let folder = Folder::with("[network]\nmode = \"none\"\n");
    git(&folder, &["init", "-q"]);
    git(&folder, &["add", "sandbox.toml"]);
    git(&folder, &["commit", "-qm", "one"]);
    folder.write("sandbox.toml", "[network]\nmode = \"host\"\n");
    folder
}

fn diff_with(folder: &Folder, revision: &str) -> Command {
    let mut command = folder.program(&["diff", revision, "sandbox.toml"]);
    let path = std::env::var_os("PATH").unwrap();
    command.env("PATH", path);
    command
}

#[test]
fn a_file_and_a_revision_of_it() {
    let folder = repository();
    let (code, text) = said(&folder, &mut diff_with(&folder, "HEAD:sandbox.toml"));
    assert_eq!(code, 1);
    insta::assert_snapshot!(text, @"
    exposure: 1.0 (ok) to 2.5 (ok)

    sandbox.toml permits, and HEAD:sandbox.toml does not:
      + use the host's network
          sandbox.toml:2
          HEAD:sandbox.toml: use no network (HEAD:sandbox.toml:2)
      + use every port there
          sandbox.toml:2
    ");
    git(&folder, &["add", "sandbox.toml"]);
    let (code, text) = said(&folder, &mut diff_with(&folder, ":sandbox.toml"));
    assert_eq!(code, 0, "{text}");
}

/// What a revision extends is that of the same commit, and not what lies in the folder now.
#[test]
fn a_revision_extends_what_lies_beside_it_in_the_same_commit() {
    let folder = repository();
    std::fs::create_dir(folder.0.join("ci")).unwrap();
    let child = "extends = [\"../sandbox.toml\", \"limits\"]\n";
    folder.write("ci/build.toml", child);
    folder.write("ci/limits.toml", "[limits]\npids = 10\n");
    git(&folder, &["add", "ci", "sandbox.toml"]);
    git(&folder, &["commit", "-qm", "two"]);
    folder.write("sandbox.toml", "[network]\nmode = \"none\"\n");
    folder.write("ci/limits.toml", "[limits]\npids = 20\n");
    let mut diff = folder.program(&["diff", "HEAD:ci/build.toml", "ci/build.toml"]);
    diff.env("PATH", std::env::var_os("PATH").unwrap());
    let (code, text) = said(&folder, &mut diff);
    assert_eq!(code, 1);
    insta::assert_snapshot!(text, @"
    exposure: 2.3 (ok) to 0.9 (safe)

    ci/build.toml permits, and HEAD:ci/build.toml does not:
      + start 20 processes
          ci/limits.toml:2
          HEAD:ci/build.toml: start 10 processes (HEAD:ci/limits.toml:2)

    HEAD:ci/build.toml permits, and ci/build.toml does not:
      - use the host's network
          HEAD:sandbox.toml:2
          ci/build.toml: use no network (ci/../sandbox.toml:2)
      - use every port there
          HEAD:sandbox.toml:2
    ");
    git(&folder, &["rm", "-q", "--cached", "ci/limits.toml"]);
    git(&folder, &["commit", "-qm", "three"]);
    insta::assert_snapshot!(refused(&folder, &mut diff), @r#"
    error[SBX0101]: there is no profile named `limits`; looked for [project]/profiles/limits.toml, /home/ada/.config/sandbox/limits.toml, /etc/sandbox/limits.toml, and among the built-in ones
     --> HEAD:ci/build.toml:1:31
      |
    1 | extends = ["../sandbox.toml", "limits"]
      |                               ^^^^^^^^
      |
      = help: the built-in profiles are: default, build, cargo, python, node, strict, go, ci

    note[SBX0031]: the command reaches what the caller reaches, services on localhost included, and abstract sockets of the desktop where Landlock does not refuse them
     --> HEAD:sandbox.toml:2:8
      |
    2 | mode = "host"
      |        ^^^^^^
      |
      = help: write `mode = "loopback"` under [network] where no network is needed
    "#);
}

#[test]
fn a_revision_that_is_not_there() {
    let folder = repository();
    insta::assert_snapshot!(refused(&folder, &mut diff_with(&folder, "HEAD:other.toml")), @"
    error[SBX0113]: git cannot read `HEAD:other.toml`: path 'other.toml' does not exist in 'HEAD'
    --> command line
     = help: for example HEAD:sandbox.toml, as in `git show`; a file with a colon in its name is ./a:b
    ");
    for revision in ["-p:sandbox.toml", "--help:x"] {
        let mut command = folder.program(&["diff", "--", revision, "sandbox.toml"]);
        let wrong = refused(&folder, &mut command);
        assert!(wrong.contains("is no revision"), "{wrong}");
    }
}

#[test]
fn a_hostile_repository_runs_nothing() {
    let folder = repository();
    let ran = folder.0.join("ran");
    let run = format!("touch {}", ran.display());
    for (key, value) in [
        ("core.fsmonitor", run.as_str()),
        ("core.pager", &run),
        ("core.sshCommand", &run),
        ("diff.external", &run),
        ("diff.x.textconv", &run),
        ("filter.x.smudge", &run),
        ("core.hooksPath", "."),
        ("alias.cat-file", &format!("!{run}")),
        (
            "remote.origin.url",
            &format!("ext::sh -c touch% {}", ran.display()),
        ),
        ("remote.origin.promisor", "true"),
        ("remote.origin.partialclonefilter", "blob:none"),
        ("extensions.partialClone", "origin"),
        ("protocol.ext.allow", "always"),
    ] {
        git(&folder, &["config", key, value]);
    }
    git(&folder, &["config", "core.repositoryFormatVersion", "1"]);
    folder.write(".gitattributes", "*.toml diff=x filter=x\n");
    let (code, _) = said(&folder, &mut diff_with(&folder, "HEAD:sandbox.toml"));
    assert_eq!(code, 1);
    // The object is missing: a fetch would run what the repository names.
    let objects = folder.0.join(".git/objects");
    let name = Command::new("git")
        .args([
            "-c",
            "core.fsmonitor=false",
            "rev-parse",
            "HEAD:sandbox.toml",
        ])
        .current_dir(&folder.0)
        .output()
        .unwrap();
    let name = String::from_utf8(name.stdout).unwrap();
    let (first, rest) = name.trim().split_at(2);
    std::fs::remove_file(objects.join(first).join(rest)).unwrap();
    let wrong = refused(&folder, &mut diff_with(&folder, "HEAD:sandbox.toml"));
    assert!(wrong.starts_with("error[SBX0113]"), "{wrong}");
    // Neither is a git of the project's own taken.
    folder.write("bin/git", "#!/bin/sh\ntouch ran\n");
    let mut command = diff_with(&folder, "HEAD:sandbox.toml");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.0.join("bin/git"), mode).unwrap();
    refused(&folder, command.env("PATH", "bin:."));
    assert!(!ran.exists(), "the repository ran something");
}
