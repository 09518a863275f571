//! The forms of diagnostics for other programs, and what `check` counts and denies.

use crate::{Folder, codes, refused};
use serde_json::Value;
use std::process::{Command, Stdio};

/// Problems with one place and with two, in a file whose name needs escapes.
const FOLDER: &str = "version = 1\n";
const NAME: &str = "100%, a:b é.toml";
const TEXT: &str = "# é\n[limits]\nmemroy = \"1G\"\n[rlimits]\nnofile = { soft = 2, hard = 1 }\n\
                    [capabilities]\nkeep = { a = [\n1,\n2] }\n";

/// What `check` prints on stdout, and nothing on stderr.
#[track_caller]
fn printed(command: &mut Command, code: i32) -> String {
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(code));
    String::from_utf8(output.stdout).unwrap()
}

fn folder() -> Folder {
    let folder = Folder::with(FOLDER);
    std::fs::write(folder.0.join(NAME), TEXT).unwrap();
    std::fs::create_dir(folder.0.join("folder.toml")).unwrap();
    folder
}

#[track_caller]
fn json(command: &mut Command, code: i32) -> Value {
    serde_json::from_str(&printed(command, code)).unwrap()
}

#[test]
fn json_has_every_place() {
    let folder = folder();
    let arguments = ["check", "--format", "json", NAME, "folder.toml", "nobody"];
    let found = json(&mut folder.program(&arguments), 125);
    assert_eq!(found["version"], 1);
    let summary =
        serde_json::json!({"profiles": 3, "errors": 5, "warnings": 0, "notes": 0, "omitted": 0});
    assert_eq!(found["summary"], summary);
    let list: Vec<_> = found["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| {
            let place = |at: &Value| {
                format!(
                    "{} {}:{}-{}:{} {}",
                    at["file"],
                    at["line"],
                    at["column"],
                    at["end_line"],
                    at["end_column"],
                    at["span"]
                )
            };
            let related = d["related"].as_array().unwrap().iter();
            let related = related.map(|r| format!(" + {} {}", r["message"], place(&r["location"])));
            format!(
                "{} {} {}: {}{}",
                d["profile"].as_str().unwrap(),
                d["severity"].as_str().unwrap(),
                d["code"].as_str().unwrap(),
                place(&d["location"]),
                related.collect::<String>(),
            )
        })
        .collect();
    insta::assert_snapshot!(list.join("\n"), @r#"
    100%, a:b é.toml error SBX0003: "100%, a:b é.toml" 3:1-3:7 {"end":20,"start":14}
    100%, a:b é.toml error SBX0045: "100%, a:b é.toml" 5:19-5:20 {"end":57,"start":56} + "hard" "100%, a:b é.toml" 5:29-5:30 {"end":67,"start":66}
    100%, a:b é.toml error SBX0004: "100%, a:b é.toml" 7:8-9:5 {"end":107,"start":92}
    folder.toml error SBX0001: "folder.toml" null:null-null:null null
    nobody error SBX0101: null null:null-null:null null
    "#);
    let first = &found["diagnostics"][0];
    assert_eq!(first["message"], "there is no key `memroy` in [limits]");
    assert_eq!(first["help"], "did you mean `memory`?");
    assert_eq!(first["label"], Value::Null);
    assert_eq!(first["location"]["origin"], format!("{NAME}:3"));
}

#[test]
fn json_of_nothing_wrong_is_a_document_too() {
    let folder = folder();
    let found = json(&mut folder.program(&["check", "--format", "json"]), 0);
    let summary =
        serde_json::json!({"profiles": 1, "errors": 0, "warnings": 0, "notes": 0, "omitted": 0});
    assert_eq!(found["summary"], summary);
    assert_eq!(found["diagnostics"], serde_json::json!([]));
}

#[test]
fn github_gets_one_command_a_problem() {
    let folder = folder();
    std::fs::write(
        folder.0.join("evil.toml"),
        "[network]\nmode = \"a\\n::set-env::b%\"\n",
    )
    .unwrap();
    let arguments = [
        "check",
        "--format",
        "github",
        NAME,
        "./evil.toml",
        "folder.toml",
        "nobody",
    ];
    let said = printed(&mut folder.program(&arguments), 125);
    let said = said.replace(folder.0.to_str().unwrap(), "[project]");
    insta::assert_snapshot!(said, @r#"
    ::error file=100%25%2C a%3Ab é.toml,line=3,endLine=3,col=1,endColumn=7,title=SBX0003::there is no key `memroy` in [limits]%0Ahelp: did you mean `memory`?
    ::error file=100%25%2C a%3Ab é.toml,line=5,endLine=5,col=19,endColumn=20,title=SBX0045::soft is above hard%0A100%25, a:b é.toml:5: hard%0Ahelp: lower `soft`, or raise `hard`
    ::error file=100%25%2C a%3Ab é.toml,line=7,endLine=9,title=SBX0004::expected a list, found a table%0Ahelp: write each as an entry of its own, under a name in [[double brackets]]
    ::error file=evil.toml,line=2,endLine=2,col=8,endColumn=26,title=SBX0004::`a%0A::set-env::b%25` is none of the choices%0Ahelp: one of: "none", "loopback", "host", "veth", "macvlan", "user", "join"
    ::error file=folder.toml,title=SBX0001::the profile folder.toml is not a regular file%0Ahelp: name a TOML file
    ::error title=SBX0101::there is no profile named `nobody`; looked for nobody.toml, .sandbox/nobody.toml, [project]/profiles/nobody.toml, /home/ada/.config/sandbox/nobody.toml, /etc/sandbox/nobody.toml, and among the built-in ones%0Ahelp: the built-in profiles are: default, build, cargo, python, node, strict, go, ci
    "#);
}

/// The validator of the published schema.
fn sarif() -> jsonschema::Validator {
    // One of its patterns has a bracket that only JavaScript takes for a literal one.
    let schema = include_str!("../schemas/sarif-2.1.0.json").replace("{2}]?$", r"{2}\\]?$");
    jsonschema::options()
        .should_validate_formats(true)
        .build(&serde_json::from_str(&schema).unwrap())
        .unwrap()
}

#[test]
fn sarif_is_valid_and_says_what_json_says() {
    let folder = folder();
    std::fs::write(folder.0.join("all.toml"), crate::everything::MISTAKES).unwrap();
    std::fs::write(folder.0.join("notes.toml"), crate::machine::NOTE).unwrap();
    let profiles = [
        "sandbox.toml",
        "all.toml",
        NAME,
        "folder.toml",
        "nobody",
        "notes.toml",
    ];
    let check = |form| {
        let mut command = folder.program(&["check", "--host", "--format", form]);
        json(command.args(profiles), 125)
    };
    let log = check("sarif");
    let validator = sarif();
    let errors: Vec<_> = validator.iter_errors(&log).map(|e| e.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}");

    let run = &log["runs"][0];
    assert_eq!(run["columnKind"], "unicodeCodePoints");
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), sandbox::diag::Code::ALL.len());
    let results = run["results"].as_array().unwrap();
    let ours = check("json");
    let ours = ours["diagnostics"].as_array().unwrap();
    assert_eq!(results.len(), ours.len());
    assert!(ours.len() > 30);
    for (result, our) in results.iter().zip(ours) {
        assert_eq!(result["ruleId"], our["code"]);
        assert_eq!(result["level"], our["severity"]);
        let rule = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[rule]["id"], our["code"]);
        let message = result["message"]["text"].as_str().unwrap();
        assert!(
            message.starts_with(our["message"].as_str().unwrap()),
            "{message}"
        );
        let related = our["related"].as_array().unwrap();
        assert_eq!(
            result["relatedLocations"].as_array().unwrap().len(),
            related.len()
        );
        let place = &our["location"];
        let region = &result["locations"][0]["physicalLocation"]["region"];
        if place["line"].is_null() {
            // The head of the profile, or nothing where there is none.
            assert_eq!(region.is_null(), place["file"].is_null(), "{our}");
            continue;
        }
        for (theirs, ours) in [
            ("startLine", "line"),
            ("startColumn", "column"),
            ("endLine", "end_line"),
            ("endColumn", "end_column"),
        ] {
            assert_eq!(region[theirs], place[ours], "{our}");
        }
        assert_eq!(region["byteOffset"], place["span"]["start"]);
    }
    let uri = &results[results.len() - 4]["locations"][0]["physicalLocation"]["artifactLocation"];
    assert_eq!(uri["uri"], "100%25%2C%20a%3Ab%20%C3%A9.toml");
}

/// A validator that takes everything would prove nothing.
#[test]
fn the_schema_refuses_what_is_not_sarif() {
    let folder = folder();
    let arguments = ["check", "--format", "sarif", NAME];
    let log = json(&mut folder.program(&arguments), 125);
    let validator = sarif();
    assert!(validator.is_valid(&log));
    let broken = |path: &str, value: Value| {
        let mut log = log.clone();
        *log.pointer_mut(path).unwrap() = value;
        assert!(!validator.is_valid(&log), "{path}");
    };
    broken("/version", "2.0.0".into());
    broken("/runs/0/columnKind", "bytes".into());
    broken("/runs/0/results/0/level", "fatal".into());
    let place = "/runs/0/results/0/locations/0/physicalLocation";
    broken(&format!("{place}/region/startLine"), 0.into());
    broken(&format!("{place}/artifactLocation/uri"), "a b".into());
}

#[test]
fn what_is_denied_fails_the_check() {
    let folder = Folder::with(crate::machine::NOTE);
    let check = |more: &[&str]| {
        let output = folder.program(&["check", "--host"]).args(more).output();
        let output = output.unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "");
        let stderr = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), stderr)
    };
    let (code, said) = check(&[]);
    assert_eq!(code, Some(0));
    let said = said.replace(folder.0.to_str().unwrap(), "[project]");
    insta::assert_snapshot!(said, @"
    note[SBX0108]: /no/such/folder is not there: not mounted
     --> [project]/sandbox.toml:1:1
      |
    1 | [[mounts]]
      | ^^^^^^^^^^
    ");
    assert_eq!(check(&["--deny", "warnings"]).0, Some(0));
    let (code, said) = check(&["--deny", "notes"]);
    assert_eq!(code, Some(125));
    let last = said.lines().last();
    assert_eq!(
        last,
        Some("sandbox: 1 note in 1 profile; warnings and notes are denied")
    );
    // Of notes, a run says nothing; nor does explain, on stderr.
    let output = folder.program(&["explain", "--", "true"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

/// Whether this machine lets the caller limit anything, or not: check says what a run says.
#[test]
fn a_check_against_the_machine_warns_of_what_a_run_does_without() {
    let folder = Folder::with("[limits]\npids = 100\n[enforce]\nlimits = \"prefer\"\n");
    let explain = folder.program(&["explain", "--", "true"]).output().unwrap();
    assert!(explain.status.success(), "{explain:?}");
    let weaker = String::from_utf8_lossy(&explain.stderr).contains("not enforced: ");
    let arguments = ["check", "--host", "--format", "json"];
    let found = codes(&mut folder.program(&arguments));
    let expected: &[&str] = if weaker { &["SBX0107"] } else { &[] };
    assert_eq!(found, expected);
    for (deny, code) in [
        (&[][..], 0),
        (&["--deny", "warnings"], if weaker { 125 } else { 0 }),
    ] {
        let status = folder
            .program(&arguments)
            .args(deny)
            .output()
            .unwrap()
            .status;
        assert_eq!(status.code(), Some(code), "{deny:?}");
    }
}

#[test]
fn without_a_name_the_implied_profile_is_checked() {
    let folder = Folder::with("version = 2\n");
    std::fs::create_dir(folder.0.join("below")).unwrap();
    let mut command = folder.program(&["check"]);
    command.current_dir(folder.0.join("below"));
    insta::assert_snapshot!(refused(&folder, &mut command), @"
    error[SBX0004]: version 2 of the language is not known to this program
     --> [project]/sandbox.toml:1:11
      |
    1 | version = 2
      |           ^
      |
      = help: write `version = 1`, or use a newer sandbox
    ");
    // The built-in one, where the project has none.
    std::fs::remove_file(folder.0.join("sandbox.toml")).unwrap();
    let output = folder.program(&["check"]).output().unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
}

#[test]
fn a_form_that_cannot_be_printed() {
    let folder = Folder::with("version = 1");
    for form in ["json", "sarif"] {
        let full = std::fs::File::options().write(true).open("/dev/full");
        let mut check = folder.program(&["check", "--format", form]);
        check.stdout(Stdio::from(full.unwrap()));
        let said = refused(&folder, &mut check);
        assert!(said.starts_with("error[SBX0103]: "), "{said}");
    }
}
