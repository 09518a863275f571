//! Completions and manual pages: accepted by the programs that read them, and complete.

use crate::support::{Project, done, program, skip};
use std::process::Command;

/// The actions that the help lists.
fn actions() -> Vec<String> {
    let help = done(Command::new(program()).arg("--help")).ok();
    let (_, list) = help.split_once("\nActions:\n").unwrap();
    let list = list.split("\n\n").next().unwrap();
    let names = list
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    let names: Vec<_> = names
        .zip(list.lines())
        // What is further in continues the line before.
        .filter(|(_, line)| line.starts_with("  ") && !line.starts_with("   "))
        .map(|(name, _)| name.to_owned())
        .collect();
    assert!(names.len() >= 7, "{names:?}");
    names
}

fn script(shell: &str) -> String {
    done(Command::new(program()).args(["completions", shell])).ok()
}

fn has(shell: &str) -> bool {
    Command::new(shell)
        .args(["-c", "true"])
        .output()
        .is_ok_and(|output| output.status.success())
}

#[test]
fn bash_accepts_the_completions() {
    let project = Project::new();
    let path = project.write("sandbox.bash", script("bash"));
    let checked = done(Command::new("bash").arg("-n").arg(path));
    assert_eq!((checked.code, checked.stderr.as_str()), (0, ""));
}

/// As a person does: half a word, and the tab key.
#[test]
fn bash_completes_actions_and_options() {
    let project = Project::new();
    let path = project.write("sandbox.bash", script("bash"));
    let completed = |words: &[&str]| {
        let line = words.join(" ");
        let array: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
        let program = format!(
            "source {path}
            COMP_WORDS=({array}) COMP_CWORD={last} COMP_LINE='{line}' COMP_POINT={point}
            how=$(complete -p sandbox) && [[ $how =~ -F\\ ([a-zA-Z_]+) ]]
            ${{BASH_REMATCH[1]}} sandbox '{word}' '{before}'
            printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            path = path.display(),
            array = array.join(" "),
            last = words.len() - 1,
            point = line.len(),
            word = words.last().unwrap(),
            before = words[words.len() - 2],
        );
        let told = done(Command::new("bash").args(["--norc", "-c", &program])).ok();
        told.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(completed(&["sandbox", "expl"]), ["explain"]);
    assert_eq!(completed(&["sandbox", "doctor", "--fo"]), ["--format"]);
    assert_eq!(completed(&["sandbox", "doctor", "--format", "j"]), ["json"]);
    for action in actions() {
        assert_eq!(completed(&["sandbox", &action]), [action.as_str()]);
    }
}

#[test]
fn zsh_accepts_the_completions() {
    if !has("zsh") {
        return skip("zsh_accepts_the_completions", "zsh is not installed");
    }
    let project = Project::new();
    let script = script("zsh");
    for action in actions() {
        assert!(script.contains(&format!("({action})")), "{action}");
    }
    let path = project.write("_sandbox", script);
    let checked = done(Command::new("zsh").args(["-f", "-n"]).arg(&path));
    assert_eq!((checked.code, checked.stderr.as_str()), (0, ""));
    // The completion system takes the function for that of our program.
    let program = format!(
        "fpath=({} $fpath); autoload -U compinit; compinit -u -d {}/dump; print $_comps[sandbox]",
        project.path().display(),
        project.path().display()
    );
    let told = done(Command::new("zsh").args(["-f", "-c", &program])).ok();
    assert_eq!(told.trim(), "_sandbox");
}

#[test]
fn fish_accepts_the_completions() {
    if !has("fish") {
        return skip("fish_accepts_the_completions", "fish is not installed");
    }
    let project = Project::new();
    let path = project.write("sandbox.fish", script("fish"));
    let fish = |arguments: &[&str]| {
        let mut command = Command::new("fish");
        command.env("HOME", project.path()).args(arguments);
        done(&mut command).ok()
    };
    fish(&["--no-execute", path.to_str().unwrap()]);
    let ask = format!("source {}; complete -C 'sandbox expl'", path.display());
    let told = fish(&["--no-config", "-c", &ask]);
    assert!(told.starts_with("explain"), "{told}");
}

#[test]
fn every_action_has_a_manual_page_without_mistakes() {
    let project = Project::new();
    let man = project.path().join("man");
    let arguments = ["man", "--out", man.to_str().unwrap()];
    done(&mut project.program(&arguments)).ok();
    let mut pages: Vec<_> = std::fs::read_dir(&man)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort_unstable();
    let mut expected: Vec<_> = actions()
        .into_iter()
        .filter(|action| action != "help")
        .map(|action| format!("sandbox-{action}.1"))
        .collect();
    expected.push("sandbox.1".into());
    let of_changes = ["apply", "diff", "discard", "list"];
    expected.extend(of_changes.map(|action| format!("sandbox-changes-{action}.1")));
    let of_images = ["list", "pin", "prune", "unpack"];
    expected.extend(of_images.map(|action| format!("sandbox-images-{action}.1")));
    expected.sort_unstable();
    assert_eq!(pages, expected);
    // What goes to the standard output is the first of them.
    let printed = done(&mut project.program(&["man"])).ok();
    assert_eq!(
        printed,
        std::fs::read_to_string(man.join("sandbox.1")).unwrap()
    );
    if Command::new("groff").arg("--version").output().is_err() {
        return skip(
            "every_action_has_a_manual_page_without_mistakes",
            "groff is not installed",
        );
    }
    for page in pages {
        let path = man.join(&page);
        let mut groff = Command::new("groff");
        groff.args(["-man", "-ww", "-Tutf8", "-z"]).arg(&path);
        let read = done(&mut groff);
        assert_eq!((read.code, read.stderr.as_str()), (0, ""), "{page}");
    }
}

/// A link that lies where a page goes is replaced, and what it points to is not written to.
#[test]
fn a_manual_page_is_not_written_through_a_link() {
    let project = Project::new();
    let precious = project.write("precious", "as it was");
    let man = project.path().join("man");
    std::fs::create_dir(&man).unwrap();
    std::os::unix::fs::symlink(&precious, man.join("sandbox.1")).unwrap();
    done(&mut project.program(&["man", "--out", "man"])).ok();
    assert_eq!(std::fs::read_to_string(precious).unwrap(), "as it was");
    assert!(man.join("sandbox.1").symlink_metadata().unwrap().is_file());
}
