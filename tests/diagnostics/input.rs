//! Profiles that are no profiles, or meant to do harm: a diagnostic, and never a wait or a crash.

use crate::Folder;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// What a check of a file says. One that does not end is ended; the time is far above what the
/// slowest machine needs, and no test of speed.
#[track_caller]
fn ended(command: &mut Command) -> Output {
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut said = Vec::new();
        std::io::Read::read_to_end(&mut stderr, &mut said).unwrap();
        said
    });
    let deadline = Instant::now() + Duration::from_secs(120);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("still running after two minutes");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    Output {
        status,
        stdout: Vec::new(),
        stderr: reader.join().unwrap(),
    }
}

/// The errors of a text: each as code and sentence, and how many there are.
#[track_caller]
fn errors(text: impl AsRef<[u8]>) -> Vec<String> {
    let folder = Folder::with("");
    std::fs::write(folder.0.join("bad.toml"), text).unwrap();
    errors_of(&mut folder.program(&["check", "bad.toml"]))
}

#[track_caller]
fn errors_of(command: &mut Command) -> Vec<String> {
    let Output { status, stderr, .. } = ended(command);
    let said = String::from_utf8(stderr).unwrap();
    let start: String = said.chars().take(1000).collect();
    // 125, and no signal: a panic aborts.
    assert_eq!(status.code(), Some(125), "{start}");
    said.lines()
        .filter_map(|line| line.strip_prefix("error["))
        .map(|line| line.replacen("]:", "", 1))
        .collect()
}

#[test]
fn what_is_no_regular_file_is_not_opened_for_long() {
    let folder = Folder::with("");
    std::fs::create_dir(folder.0.join("folder.toml")).unwrap();
    let fifo = folder.0.join("fifo.toml");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let socket = folder.0.join("socket.toml");
    let _socket = std::os::unix::net::UnixListener::bind(socket).unwrap();
    std::os::unix::fs::symlink("loop.toml", folder.0.join("loop.toml")).unwrap();
    for (name, expected) in [
        (
            "folder.toml",
            "SBX0001 the profile folder.toml is not a regular file",
        ),
        (
            "fifo.toml",
            "SBX0001 the profile fifo.toml is not a regular file",
        ),
        (
            "/dev/zero",
            "SBX0001 the profile /dev/zero is not a regular file",
        ),
        (
            "socket.toml",
            "SBX0101 cannot read the profile socket.toml: No such device or address (os error 6)",
        ),
        (
            "loop.toml",
            "SBX0101 cannot read the profile loop.toml: Too many levels of symbolic links (os error 40)",
        ),
    ] {
        for host in [&["check", name][..], &["check", "--host", name]] {
            assert_eq!(errors_of(&mut folder.program(host)), [expected]);
        }
    }
    // Also where it is only implied.
    std::fs::remove_file(folder.0.join("sandbox.toml")).unwrap();
    std::fs::rename(fifo, folder.0.join("sandbox.toml")).unwrap();
    let found = errors_of(&mut folder.program(&["check"]));
    assert_eq!(found.len(), 1);
    assert!(found[0].ends_with("is not a regular file"), "{found:?}");
}

#[test]
fn a_program_that_is_a_fifo_is_not_waited_for() {
    let folder = Folder::with("");
    let fifo = folder.0.join("program");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let text = format!("[rootfs]\nprograms = [{:?}]\n", fifo.to_str().unwrap());
    std::fs::write(folder.0.join("sandbox.toml"), text).unwrap();
    let found = errors_of(&mut folder.program(&["check", "--host"]));
    assert_eq!(found.len(), 1);
    assert!(found[0].ends_with("it is not a regular file"), "{found:?}");
}

#[test]
fn bytes_that_are_no_text() {
    let found = errors(b"version = 1\nhostname = \"\xff\"\n");
    assert_eq!(
        found,
        ["SBX0001 the profile bad.toml is not UTF-8: line 2, byte 24 of the file"]
    );
    // UTF-16, as some editors save it.
    let text: Vec<u8> = "\u{feff}version = 1"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(
        errors(text),
        ["SBX0001 the profile bad.toml is not UTF-8: line 1, byte 0 of the file"]
    );
}

#[test]
fn a_file_of_the_largest_size_is_read_and_a_larger_one_is_not() {
    let line = "# 0123456789abcde\n";
    let largest = line.repeat((1 << 19) / line.len());
    let folder = Folder::with("");
    std::fs::write(folder.0.join("large.toml"), &largest).unwrap();
    let output = ended(&mut folder.program(&["check", "large.toml"]));
    assert!(output.status.success());
    let found = errors(largest + line);
    assert_eq!(
        found,
        ["SBX0001 the profile bad.toml has more than 524288 bytes"]
    );
}

#[test]
fn nul_is_refused_wherever_a_string_goes() {
    for (text, place) in [
        ("hostname = \"a\\u0000\"", "bad.toml:1:12"),
        (
            "[[mounts]]\ntype = \"tmpfs\"\ntarget = \"/a\\u0000b\"",
            "bad.toml:3:10",
        ),
        ("[environment]\nset = { A = \"\\u0000\" }", "bad.toml:2:13"),
        (
            "[environment]\nset = { \"A\\u0000\" = \"1\" }",
            "bad.toml:2:9",
        ),
        ("[environment]\ninherit = [\"A\\u0000\"]", "bad.toml:2:12"),
        ("[rootfs]\nprograms = [\"\\u0000\"]", "bad.toml:2:13"),
        ("[namespaces]\nnet = \"/run/\\u0000\"", "bad.toml:2:7"),
    ] {
        let folder = Folder::with("");
        std::fs::write(folder.0.join("bad.toml"), text).unwrap();
        let said = ended(&mut folder.program(&["check", "bad.toml"]));
        let said = String::from_utf8(said.stderr).unwrap();
        assert!(said.contains(&format!("--> {place}")), "{text}: {said}");
        assert!(!said.contains('\0'), "{said}");
    }
    // As a byte, it is no TOML at all.
    let found = errors(b"hostname = \"\0\"\n");
    assert!(found.iter().any(|e| e.starts_with("SBX0002 ")), "{found:?}");
}

#[test]
fn numbers_of_any_size() {
    for text in [
        "version = 18446744073709551616",
        "version = -9223372036854775809",
        "version = 0xffffffffffffffffffffffffffffffff",
        "version = 1e400",
        "version = nan",
        "[limits]\npids = 9223372036854775808",
        "[limits]\nmemory = 9223372036854775808",
        "[limits]\nmemory = \"99999999999999999999E\"",
        "[limits]\ncpu = inf",
        "[limits]\nwall_time = 1e300",
        "[limits]\nwall_time = \"99999999999999999999d\"",
        "[rlimits]\nnofile = -1",
        "[rlimits]\nnofile = 18446744073709551616",
        "[user]\nuid = 4294967296",
        "[user]\nuid_map = [{ inside = 4294967295, outside = 0, count = 4294967295 }]",
        "[process]\nnice = -9223372036854775808",
        "[process]\numask = 0o7777777777777777777777",
    ] {
        let found = errors(text);
        let known = ["SBX0002 ", "SBX0004 ", "SBX0009 "];
        assert!(
            found.len() == 1 && known.iter().any(|code| found[0].starts_with(code)),
            "{text}: {found:?}"
        );
    }
}

#[test]
fn a_key_ten_thousand_times() {
    let found = errors("hostname = \"a\"\n".repeat(10_000));
    assert_eq!(found.len(), 9_999);
    assert!(
        found
            .iter()
            .all(|e| e == "SBX0002 this is not TOML: duplicate key")
    );
}

#[test]
fn nesting_of_ten_thousand_levels() {
    let deep = 10_000;
    for text in [
        format!("hostname = {}{}", "[".repeat(deep), "]".repeat(deep)),
        format!("hostname = {}", "[".repeat(deep)),
        format!("hostname = {}1{}", "{ a = ".repeat(deep), " }".repeat(deep)),
        format!("hostname = {}", "{ a = ".repeat(deep)),
        format!("{}a = 1", "a.".repeat(deep)),
        format!("[{}a]\nb = 1", "a.".repeat(deep)),
        format!("[[{}a]]\nb = 1", "a.".repeat(deep)),
    ] {
        let found = errors(&text);
        let start: String = text.chars().take(40).collect();
        assert!(!found.is_empty(), "{start}");
    }
}

/// As many mistakes as a file can hold, on many lines and on one: they are all counted, and the
/// time for it does not grow with the product of their number and the size of the file.
#[test]
fn tens_of_thousands_of_mistakes() {
    let keys: String = (0..30_000).map(|n| format!("k{n}=1\n")).collect();
    let names: Vec<_> = (0..30_000).map(|n| format!("'é{n}'")).collect();
    let line = format!("[capabilities]\nkeep = [{}]\n", names.join(","));
    for text in [keys, line] {
        let folder = Folder::with(&text);
        let said = ended(&mut folder.program(&["check", "sandbox.toml"])).stderr;
        let said = String::from_utf8(said).unwrap();
        assert_eq!(said.matches("error[").count(), 10_000);
        let last = said.lines().last();
        let expected = "sandbox: 10000 errors in 1 profile, and 20000 more that are not shown";
        assert_eq!(last, Some(expected));
        let mut form = folder.program(&["check", "--format", "github", "sandbox.toml"]);
        assert_eq!(ended(&mut form).status.code(), Some(125));
    }
    let key = "k".repeat(1_000_000);
    assert_eq!(errors(format!("{key} = 1")).len(), 1);
}
