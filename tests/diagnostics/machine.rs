//! What is wrong with no line of a profile: the file itself, the machine, the output, the command.

use crate::{Folder, refused};
use sandbox::diag::{Source, Sources};
use sandbox::host::Host;
use sandbox::host::caller::{Caller, SubordinateIds};
use sandbox::host::doubt::Doubt;
use sandbox::host::tree::Tree;
use sandbox::plan::draft::Command;
use sandbox::profile::overlay::Overlay;
use sandbox::profile::variables::Variables;
use sandbox::sections;
use std::process::Stdio;

/// A profile that works everywhere, and of which there is something to say on a machine.
pub(crate) const NOTE: &str = "[[mounts]]\ntype = \"bind\"\nsource = \"/no/such/folder\"\n\
                               target = \"/data\"\noptional = true\n";

#[test]
fn a_profile_that_is_not_there() {
    let folder = Folder::with("");
    let said = refused(&folder, &mut folder.program(&["check", "missing.toml"]));
    insta::assert_snapshot!(said, @"
    error[SBX0101]: cannot read the profile missing.toml: No such file or directory (os error 2)
    --> command line
     = help: name a profile that is there, by path or by name
    ");
}

#[test]
fn a_name_that_no_profile_has() {
    let folder = Folder::with("");
    let said = refused(&folder, &mut folder.program(&["check", "biuld"]));
    insta::assert_snapshot!(said, @r#"
    error[SBX0101]: there is no profile named `biuld`; looked for biuld.toml, .sandbox/biuld.toml, [project]/profiles/biuld.toml, /home/ada/.config/sandbox/biuld.toml, /etc/sandbox/biuld.toml, and among the built-in ones
    --> command line
     = help: the built-in profiles are: default, build, cargo, python, node, strict, go, ci
    "#);
}

#[test]
fn a_profile_that_is_no_text() {
    let folder = Folder::with("");
    std::fs::write(folder.0.join("bytes.toml"), b"version = 1\n# caf\xe9\n").unwrap();
    let said = refused(&folder, &mut folder.program(&["check", "bytes.toml"]));
    insta::assert_snapshot!(said, @r#"
    error[SBX0001]: the profile bytes.toml is not UTF-8: line 2, byte 17 of the file
    --> command line
     = help: TOML is UTF-8: save the file in that encoding
    "#);
}

#[test]
fn an_output_that_is_full() {
    let folder = Folder::with("version = 1");
    let full = std::fs::File::options().write(true).open("/dev/full");
    let mut explain = folder.program(&["explain", "--profile", "sandbox.toml"]);
    explain.stdout(Stdio::from(full.unwrap()));
    insta::assert_snapshot!(refused(&folder, &mut explain), @r#"
    error[SBX0103]: cannot write to the standard output: No space left on device (os error 28)
    --> command line
     = help: redirect the output to a file that can be written
    "#);
}

#[test]
fn several_profiles_are_all_checked() {
    let folder = Folder::with("version = 2\n");
    std::fs::write(folder.0.join("other.toml"), "hostname = 1\n").unwrap();
    let arguments = ["check", "sandbox.toml", "missing.toml", "other.toml"];
    insta::assert_snapshot!(refused(&folder, &mut folder.program(&arguments)), @r#"
    error[SBX0004]: version 2 of the language is not known to this program
     --> sandbox.toml:1:11
      |
    1 | version = 2
      |           ^
      |
      = help: write `version = 1`, or use a newer sandbox

    error[SBX0101]: cannot read the profile missing.toml: No such file or directory (os error 2)
    --> command line
     = help: name a profile that is there, by path or by name

    error[SBX0004]: expected a string, found a whole number
     --> other.toml:1:12
      |
    1 | hostname = 1
      |            ^
      |
      = help: write one value in "quotes"

    sandbox: 3 errors in 3 profiles
    "#);
}

/// What fails depends on whether this machine gives the caller namespaces; that it is named as a
/// step, with the command that did not start, does not.
#[test]
fn a_step_that_fails() {
    let folder = Folder::with("version = 1");
    let run = ["--profile", "sandbox.toml", "--", "/no/such/command"];
    let output = folder.program(&run).output().unwrap();
    assert!(
        matches!(output.status.code(), Some(125 | 127)),
        "{output:?}"
    );
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("error[SBX0102]: "), "{said}");
    assert!(said.contains("help: "), "{said}");
}

/// A machine without cgroups, whatever this one has.
#[test]
fn limits_that_are_not_enforced_and_need_not_be() {
    let text = "version = 1\n[limits]\npids = 100\n[enforce]\nlimits = \"prefer\"\n";
    let mut sources = Sources::default();
    let id = sources.add(Source::new("sandbox.toml", text));
    let (profile, warnings) =
        sections::load(&mut sources, id, &Variables::default(), &Overlay::default()).unwrap();
    assert!(warnings.is_empty());
    let host = Host::fixed(
        Caller::here(&Doubt::default()),
        Tree::here(),
        SubordinateIds::default(),
    );
    let plan = sections::build(&profile, &host, &Command::default()).unwrap();
    let weaker: Vec<_> = plan.notes.iter().filter(|note| note.is_weaker()).collect();
    assert_eq!(weaker.len(), 1);
    insta::assert_snapshot!(weaker[0].diagnostic().render(&sources, false), @"
    warning[SBX0107]: `pids` is not enforced: a test without cgroups
     --> sandbox.toml:3:8
      |
    3 | pids = 100
      |        ^^^
      |
      = help: `sandbox check --deny warnings` takes this for an error; `require` under [enforce] refuses the run
    ");
}

#[test]
fn a_profile_that_init_would_overwrite() {
    let folder = Folder::with("version = 1");
    let said = refused(&folder, &mut folder.program(&["init"]));
    insta::assert_snapshot!(said, @"
    error[SBX0104]: sandbox.toml is there already, and is not overwritten
    --> command line
     = help: remove or rename it, or replace it with --force
    ");
}

#[test]
fn a_folder_that_init_cannot_write_to() {
    let folder = Folder::with("version = 1");
    let said = refused(&folder, &mut folder.program(&["init", "missing"]));
    insta::assert_snapshot!(said, @"
    error[SBX0105]: cannot write missing: No such file or directory (os error 2)
    --> command line
     = help: name a folder that exists and that you may write to
    ");
}

#[test]
fn a_folder_that_is_no_project() {
    let folder = Folder::with("version = 1");
    let said = refused(&folder, &mut folder.program(&["init", "/usr"]));
    insta::assert_snapshot!(said, @"
    error[SBX0106]: /usr is no project: a home, a folder of the system, or one above them
    --> command line
     = help: go to the project's folder, or name it: sandbox init DIR
    ");
}

#[test]
fn written_memory_on_a_kernel_that_executes_it() {
    let on = |enforce: &str| {
        let text = format!("version = 1\n[process]\nwrite_execute = false\n{enforce}");
        let mut sources = Sources::default();
        let id = sources.add(Source::new("sandbox.toml", text));
        let (profile, _) =
            sections::load(&mut sources, id, &Variables::default(), &Overlay::default()).unwrap();
        let host = Host::fixed(
            Caller::here(&Doubt::default()),
            Tree::here(),
            SubordinateIds::default(),
        );
        let host = host.that_executes_written_memory();
        match sections::build(&profile, &host, &Command::default()) {
            Ok(plan) => {
                let weaker = plan.notes.iter().find(|note| note.is_weaker());
                weaker.unwrap().diagnostic().render(&sources, false)
            }
            Err(problems) => problems.render(&sources, false),
        }
    };
    insta::assert_snapshot!(on(""), @r#"
    error[SBX0100]: this kernel cannot refuse to execute written memory
     --> sandbox.toml:3:17
      |
    3 | write_execute = false
      |                 ^^^^^
      |
      = help: use Linux 6.3 or newer, or write `write_execute = "prefer"` under [enforce]
    "#);
    insta::assert_snapshot!(on("[enforce]\nwrite_execute = \"prefer\""), @"
    warning[SBX0107]: this kernel cannot refuse to execute written memory
     --> sandbox.toml:3:17
      |
    3 | write_execute = false
      |                 ^^^^^
      |
      = help: `sandbox check --deny warnings` takes this for an error; `require` under [enforce] refuses the run
    ");
}
