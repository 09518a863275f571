//! Files and mounts of the sandbox's own: whose they are, who may write to them, how they are mounted.

use crate::support::{Project, done, is_root, skip};
use std::os::unix::fs::symlink;

/// A map of more than one id.
const AUTO: &str = "[user]\nuid_map = \"auto\"\n";

fn has_ids(test: &str) -> bool {
    let name = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap();
    let name = format!("{}:", name.unwrap().name);
    let has = |file| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        text.lines().any(|line| line.starts_with(&name))
    };
    let both = is_root() || has("/etc/subuid") && has("/etc/subgid");
    if !both {
        skip(test, "the caller has no subordinate ids");
    }
    both
}

/// The options of a mount inside.
fn options(table: &str, target: &str) -> String {
    let of = |line: &str| {
        let words: Vec<_> = line.split(' ').collect();
        (words[4] == target).then(|| words[5].to_owned())
    };
    table.lines().find_map(of).unwrap()
}

#[test]
fn what_the_sandbox_makes_belongs_to_whom_the_profile_says() {
    if !has_ids("what_the_sandbox_makes_belongs_to_whom_the_profile_says") {
        return;
    }
    let project = Project::new();
    let profile = format!(
        "{AUTO}
[[mounts]]
type = \"tmpfs\"
target = \"/opt/own/tmpfs\"
mode = \"1770\"
owner = {{ uid = 5, gid = 7 }}
[[mounts]]
type = \"directory\"
target = \"/opt/own/directory\"
mode = \"2775\"
owner = {{ gid = 7 }}
[[mounts]]
type = \"file\"
target = \"/opt/own/file\"
contents = \"text\"
mode = \"4750\"
owner = {{ uid = 5 }}
[[mounts]]
type = \"tmpfs\"
target = \"/opt\"
"
    );
    let script = "cd /opt/own && stat -c '%n %u:%g %a' tmpfs directory file && cat file";
    assert_eq!(
        project.run(&profile, script).ok(),
        "tmpfs 5:7 1770\ndirectory 0:7 2775\nfile 5:0 4750\ntext"
    );
    // The sandbox has no more ids than its maps hold.
    let profile = "[[mounts]]\ntype = \"tmpfs\"\ntarget = \"/a\"\nowner = { uid = 4000000 }\n";
    let refused = project.run(profile, "true").fails(125);
    assert!(
        refused.contains("SBX") && refused.contains("uid 4000000"),
        "{refused}"
    );
}

#[test]
fn terminals_have_the_group_that_the_profile_says() {
    if !has_ids("terminals_have_the_group_that_the_profile_says") {
        return;
    }
    let project = Project::new();
    let rest = "[process]\nterminal = \"own\"\n[devices]\n";
    let script = "stat -c '%g %a' $(tty)";
    let own = project.run(&format!("{AUTO}{rest}"), script).ok();
    assert_eq!(own.trim(), "0 620");
    let of = project.run(&format!("{AUTO}{rest}pts_group = 5\n"), script);
    assert_eq!(of.ok().trim(), "5 620");
}

#[test]
fn a_file_with_contents_can_be_written_to_and_begins_anew() {
    let project = Project::new();
    let file = |read_only: bool| {
        format!(
            "[[mounts]]\ntype = \"file\"\ntarget = \"/etc/motd\"\ncontents = \"first\\n\"\nread_only = {read_only}\n"
        )
    };
    let script = "cat /etc/motd; echo second >>/etc/motd; cat /etc/motd";
    for _ in 0..2 {
        let out = project.run(&file(false), script).ok();
        assert_eq!(out, "first\nfirst\nsecond\n");
    }
    let script = "! sh -c 'echo second >>/etc/motd' 2>/dev/null && cat /etc/motd";
    assert_eq!(project.run(&file(true), script).ok(), "first\n");
}

#[test]
fn links_on_a_mount_are_not_followed_where_the_profile_says_so() {
    let project = Project::new();
    let source = Project::new();
    source.write("there", "text\n");
    symlink("there", source.path().join("link")).unwrap();
    let source = source.path().display();
    let bind = format!("[[mounts]]\ntype = \"bind\"\ntarget = \"/data\"\nsource = \"{source}\"\n");
    let script = "readlink /data/link; cat /data/link 2>&1 || cat /data/there";
    assert_eq!(project.run(&bind, script).ok(), "there\ntext\n");
    let out = project
        .run(&format!("{bind}nosymfollow = true\n"), script)
        .ok();
    assert!(
        out.contains("ymbolic link") && out.ends_with("text\n"),
        "{out}"
    );
    let tmpfs = "[[mounts]]\ntype = \"tmpfs\"\ntarget = \"/a\"\nnosymfollow = true\n";
    let script = "echo x >/a/b && ln -s b /a/c && cat /a/b && ! cat /a/c 2>/dev/null";
    assert_eq!(project.run(tmpfs, script).ok(), "x\n");
}

#[test]
fn times_of_reading_are_noted_as_the_profile_says() {
    let project = Project::new();
    let table = "cat /proc/self/mountinfo";
    for (word, has, not) in [
        ("noatime", "noatime", "relatime"),
        ("relatime", "relatime", "noatime"),
        ("strictatime", "rw", "atime"),
    ] {
        let tmpfs = format!("[[mounts]]\ntype = \"tmpfs\"\ntarget = \"/a\"\natime = \"{word}\"\n");
        let found = options(&project.run(&tmpfs, table).ok(), "/a");
        assert!(
            found.contains(has) && !found.contains(not),
            "{word}: {found}"
        );
    }
    // Not the one that it has anyway.
    let source = Project::new();
    source.write("file", "x");
    let source = source.path().display();
    let bind = format!("[[mounts]]\ntype = \"bind\"\ntarget = \"/data\"\nsource = \"{source}\"\n");
    let has = options(&project.run(&bind, table).ok(), "/data");
    let other = if has.contains("noatime") {
        "relatime"
    } else {
        "noatime"
    };
    let asked = project.run(&format!("{bind}atime = \"{other}\"\n"), table);
    if is_root() {
        let found = options(&asked.ok(), "/data");
        assert!(found.contains(other), "{found}");
    } else {
        let refused = asked.fails(125);
        assert!(
            refused.contains("locked in a new user namespace"),
            "{refused}"
        );
    }
    let same = if has.contains("noatime") {
        "noatime"
    } else {
        "relatime"
    };
    project
        .run(&format!("{bind}atime = \"{same}\"\n"), "true")
        .ok();
}

#[test]
fn a_tmpfs_may_hold_a_share_of_the_memory() {
    let project = Project::new();
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap();
    let total = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"));
    let total = total.unwrap().trim().trim_end_matches(" kB");
    let total: u64 = total.parse().unwrap();
    let profile = "[[mounts]]\ntype = \"tmpfs\"\ntarget = \"/a\"\nsize = \"25%\"
[devices]
shm_size = \"10%\"
[rootfs]
project = \"discard\"
changes_size = \"5%\"
";
    let script = "for at in /a /dev/shm .; do stat -f -c '%b %S' $at; done";
    let out = project.run(profile, script).ok();
    let sizes: Vec<u64> = out
        .lines()
        .map(|line| {
            let (blocks, size) = line.split_once(' ').unwrap();
            blocks.parse::<u64>().unwrap() * size.parse::<u64>().unwrap() / 1024
        })
        .collect();
    for (size, share) in sizes.iter().zip([25, 10, 5]) {
        let wanted = total * share / 100;
        assert!(
            size.abs_diff(wanted) <= 8,
            "{share} %: {size}, not {wanted}"
        );
    }
    assert_eq!(sizes.len(), 3);
}

#[test]
fn what_of_proc_and_sys_acts_on_the_kernel_is_written_to_only_where_the_profile_says_so() {
    let test =
        "what_of_proc_and_sys_acts_on_the_kernel_is_written_to_only_where_the_profile_says_so";
    let fresh = std::fs::read_dir("/sys").is_ok_and(|mut all| all.next().is_some());
    if !fresh {
        return skip(test, "/sys is not mounted");
    }
    let project = Project::new();
    let setting = "/proc/sys/net/ipv4/ip_default_ttl";
    let before = std::fs::read_to_string(setting).unwrap();
    let profile = |read_only: bool| {
        format!(
            "[user]
uid_map = \"root\"
[capabilities]
keep = [\"net_admin\"]
[[mounts]]
type = \"proc\"
target = \"/proc\"
read_only = {read_only}
[[mounts]]
type = \"sysfs\"
target = \"/sys\"
read_only = {read_only}
"
        )
    };
    let script = format!("echo 77 >{setting} && cat {setting} /proc/self/mountinfo");
    let out = project.run(&profile(false), &script).ok();
    assert!(out.starts_with("77\n"), "{out}");
    let table = out.strip_prefix("77\n").unwrap();
    assert!(options(table, "/sys").starts_with("rw"), "{table}");
    let script = format!("! sh -c 'echo 77 >{setting}' 2>/dev/null && cat /proc/self/mountinfo");
    let table = project.run(&profile(true), &script).ok();
    assert!(options(&table, "/sys").starts_with("ro"), "{table}");
    assert_eq!(std::fs::read_to_string(setting).unwrap(), before);
}

/// A profile with a secret of a variable and one of a file that is the caller's alone.
fn secrets(project: &Project) -> String {
    let key = project.write("key", "of a file\n");
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    format!(
        "[[secrets]]\nname = \"token\"\nenv = \"DEPLOY_TOKEN\"\n[[secrets]]\nname = \"key\"\nfile = \"{}\"\ntarget = \"/etc/app/key\"\nmode = \"440\"\n[rootfs]\nproject = \"hide\"\n",
        key.display()
    )
}

const TOKEN: &str = "of-a-variable-5d1f";

#[test]
fn secrets_are_files_of_the_commands_and_nothing_else() {
    let project = Project::new();
    let profile = secrets(&project);
    let script = "cd /run/secrets && cat token && echo && cat /etc/app/key &&
        stat -c '%a %u %g' token /etc/app/key && id -u && id -g &&
        ! sh -c 'echo x >token' 2>/dev/null && ! rm -f token 2>/dev/null && ls /run/secrets &&
        env | grep -c DEPLOY; { tr '\\0' '\\n' </proc/1/environ; } 2>/dev/null | grep -c of-a; true";
    let run = |program: &mut std::process::Command| done(program.env("DEPLOY_TOKEN", TOKEN));
    let out = run(&mut project.script(&profile, script)).ok();
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines[..2], [TOKEN, "of a file"], "{out}");
    let owner = format!("{} {}", lines[4], lines[5]);
    assert_eq!(
        lines[2..4],
        [format!("400 {owner}"), format!("440 {owner}")]
    );
    assert_eq!(lines[6..], ["token", "0", "0"], "{out}");
    // What tells of the run does not tell it.
    project.write("secrets.toml", &profile);
    let report = project.path().join("report.json");
    for arguments in [
        &["explain", "--profile", "secrets.toml", "--", "true"][..],
        &[
            "explain",
            "--why",
            "--profile",
            "secrets.toml",
            "--",
            "true",
        ],
        &["show", "--profile", "secrets.toml"],
        &["check", "secrets.toml"],
        &["score", "secrets.toml"],
        &[
            "--profile",
            "secrets.toml",
            "--report",
            report.to_str().unwrap(),
            "--",
            "true",
        ],
    ] {
        let told = run(&mut project.program(arguments));
        let all = format!("{}{}", told.stdout, told.stderr);
        assert!(
            told.code == 0 && !all.contains("of-a-") && !all.contains("of a file"),
            "{all}"
        );
    }
    let report = std::fs::read_to_string(report).unwrap();
    assert!(
        !report.contains("of-a-") && !report.contains("of a file"),
        "{report}"
    );
}

#[test]
fn a_secret_that_is_missing_or_told_otherwise_is_refused() {
    let project = Project::new();
    let with = |profile: &str, token: Option<&str>| {
        let mut program = project.script(profile, "ls /run/secrets 2>/dev/null; true");
        match token {
            Some(token) => program.env("DEPLOY_TOKEN", token),
            None => program.env_remove("DEPLOY_TOKEN"),
        };
        done(&mut program)
    };
    let secret = "[[secrets]]\nname = \"token\"\nenv = \"DEPLOY_TOKEN\"\n";
    assert_eq!(with(secret, Some("x")).ok(), "token\n");
    let refused = with(secret, None).fails(125);
    assert!(refused.contains("no variable DEPLOY_TOKEN"), "{refused}");
    let optional = format!("{secret}optional = true\n");
    assert_eq!(with(&optional, None).stdout, "");
    for told in [
        "inherit = [\"DEPLOY_*\"]",
        "set = { OTHER = \"${env:DEPLOY_TOKEN}\" }",
    ] {
        let profile = format!("{secret}[environment]\n{told}\n");
        let refused = with(&profile, Some("x-y-z")).fails(125);
        assert!(
            refused.contains("the command") && !refused.contains("x-y-z"),
            "{refused}"
        );
    }
    let fifo = project.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let profile = format!(
        "[[secrets]]\nname = \"fifo\"\nfile = \"{}\"\n",
        fifo.display()
    );
    let refused = with(&profile, None).fails(125);
    assert!(refused.contains("plain file"), "{refused}");
    let large = project.write("large", vec![b'x'; (1 << 20) + 1]);
    let profile = format!(
        "[[secrets]]\nname = \"large\"\nfile = \"{}\"\n",
        large.display()
    );
    assert!(with(&profile, None).fails(125).contains("1M at most"));
}

/// Whether somebody else could lock a file for writing now.
fn is_free(path: &std::path::Path) -> bool {
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut lock = nix::libc::flock {
        l_type: nix::libc::F_WRLCK as nix::libc::c_short,
        l_whence: nix::libc::SEEK_SET as nix::libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_GETLK(&mut lock)).unwrap();
    lock.l_type == nix::libc::F_UNLCK as nix::libc::c_short
}

#[test]
fn a_file_is_locked_while_the_sandbox_runs() {
    use std::io::{Read as _, Write as _};
    use std::process::Stdio;
    let project = Project::new();
    let file = project.write("ref", "x");
    let profile = format!(
        "[[mounts]]\ntype = \"bind\"\ntarget = \"/app/ref\"\nsource = \"{}\"\nlock = true\n",
        file.display()
    );
    assert!(is_free(&file));
    for killed in [false, true] {
        let mut run = project
            .script(&profile, "echo go; read line; true")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = [0; 3];
        run.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
        assert!(!is_free(&file));
        // Readers may share it.
        project.run(&profile, "cat /app/ref").ok();
        assert!(!is_free(&file));
        if killed {
            run.kill().unwrap();
        } else {
            run.stdin.as_mut().unwrap().write_all(b"end\n").unwrap();
        }
        run.wait().unwrap();
        assert!(is_free(&file));
    }
    let other = std::fs::File::options().write(true).open(&file).unwrap();
    let lock = nix::libc::flock {
        l_type: nix::libc::F_WRLCK as nix::libc::c_short,
        l_whence: nix::libc::SEEK_SET as nix::libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    nix::fcntl::fcntl(&other, nix::fcntl::FcntlArg::F_SETLK(&lock)).unwrap();
    let refused = project.run(&profile, "true").fails(125);
    assert!(refused.contains("locked for writing"), "{refused}");
    drop(other);
    let folder = format!(
        "[[mounts]]\ntype = \"bind\"\ntarget = \"/app\"\nsource = \"{}\"\nlock = true\n",
        project.path().display()
    );
    assert!(
        project
            .run(&folder, "true")
            .fails(125)
            .contains("is a directory")
    );
}

#[test]
fn a_pattern_of_devices_stands_for_what_the_machine_has() {
    use std::os::unix::fs::FileTypeExt as _;
    let test = "a_pattern_of_devices_stands_for_what_the_machine_has";
    let minimal = [
        "null", "zero", "full", "random", "urandom", "tty", "ptmx", "console",
    ];
    let found = std::fs::read_dir("/dev")
        .unwrap()
        .flatten()
        .find_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let device = entry.file_type().ok()?.is_char_device();
            (device && !minimal.contains(&name.as_str())).then_some(name)
        });
    let Some(name) = found else {
        return skip(test, "/dev has minimal devices alone");
    };
    let project = Project::new();
    let (begin, _) = name.split_at(name.len() - 1);
    // What is there anyway, or named beside it, is no second mount.
    let profile = format!("[devices]\nnodes = [\"{begin}?\", \"{name}\", \"[nz]*[lo]\"]\n");
    let script = format!("[ -c /dev/{name} ] && [ -c /dev/null ] && echo there");
    assert_eq!(project.run(&profile, &script).ok(), "there\n");
    let none = "[devices]\nnodes = [\"no-such-device-*\"]\n";
    let refused = project.run(none, "true").fails(125);
    assert!(refused.contains("this machine has nothing"), "{refused}");
    let none = "[devices]\nnodes = [{ name = \"no-such-device-*\", optional = true }]\n";
    project.run(none, "true").ok();
}

#[test]
fn owners_of_a_mount_are_who_the_profile_says() {
    let project = Project::new();
    let source = Project::new();
    let path = source.path().display();
    let profile = |inside: u32| {
        format!(
            "[user]
uid_map = \"root\"
[[mounts]]
type = \"bind\"
target = \"/data\"
source = \"{path}\"
read_only = false
idmap = [{{ source = 1234, inside = {inside} }}, {{ source = 77, inside = {} }}]
",
            inside + 1
        )
    };
    if !is_root() {
        let one = profile(0).replace(", { source = 77, inside = 1 }", "");
        let refused = project.run(&one, "true").fails(125);
        assert!(refused.contains("only root can say"), "{refused}");
        return;
    }
    let file = source.write("file", "x");
    for path in [&file, source.path()] {
        std::os::unix::fs::chown(path, Some(1234), Some(1234)).unwrap();
    }
    let other = source.write("other", "x");
    let script = "cd /data && stat -c '%u:%g' file other && echo new >made && stat -c '%u:%g' made";
    let one = profile(0).replace(", { source = 77, inside = 1 }", "");
    let out = project.run(&one, script).ok();
    assert_eq!(out, "0:0\n65534:65534\n0:0\n");
    use std::os::unix::fs::MetadataExt as _;
    let made = source.path().join("made").metadata().unwrap();
    assert_eq!((made.uid(), made.gid()), (1234, 1234));
    assert_eq!(other.metadata().unwrap().uid(), 0);
    let both = profile(0).replace("\"root\"", "\"auto\"");
    std::os::unix::fs::chown(&other, Some(77), Some(77)).unwrap();
    let out = project
        .run(&both, "cd /data && stat -c '%u:%g' file other")
        .ok();
    assert_eq!(out, "0:0\n1:1\n");
    // The sandbox has to have the ids.
    let refused = project.run(&profile(0), "true").fails(125);
    assert!(refused.contains("no range that holds uid 1"), "{refused}");
}
