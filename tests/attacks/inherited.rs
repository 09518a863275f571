//! Descriptors, environment, identity: what comes along from the caller.

use crate::attack::{Bare, Evidence, Input};

attacks! {
    no_descriptor_comes_along: "an open folder of the caller's is read from",
        Bare::Works, "os.close(os.open('secret', os.O_RDONLY, dir_fd=7))";
    a_folder_as_input_is_no_way_out: "the standard input is a folder of the caller's, and is read from",
        Bare::Works, "os.close(os.open('secret', os.O_RDONLY, dir_fd=9))",
        { input: Input::Folder, refusal: "the standard input is a directory" };
    the_file_of_the_input_is_not_shortened: "the file of the caller's input is emptied",
        Bare::Works, "os.truncate('/proc/self/fd/0', 0)",
        { input: Input::File, evidence: Evidence::Outside(|stage| {
            stage.outside().join("secret").metadata().unwrap().len() == 0
        }) };
    the_mode_of_the_input_is_not_changed: "the file of the caller's input is made writable for everybody",
        Bare::Works, "os.fchmod(0, 0o666)",
        { input: Input::File, evidence: Evidence::Outside(|stage| {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = stage.outside().join("secret").metadata().unwrap().permissions().mode();
            mode & 0o002 != 0
        }) };
    the_callers_pipe_still_waits: "the caller's pipe is set so that nobody waits at it any more",
        Bare::Works, "os.set_blocking(0, False)",
        { input: Input::Pipe, evidence: Evidence::Outside(crate::stage::Stage::pipe_does_not_block) };
    the_log_is_not_reopened: "standard output, a file of the caller's, is opened anew and emptied",
        Bare::Works, "
os.write(1, b'new'); os.close(os.open('/proc/self/fd/1', os.O_WRONLY | os.O_TRUNC))",
        {
            log: true,
            evidence: Evidence::Outside(|stage| {
                let log = std::fs::read_to_string(stage.outside().join("log")).unwrap();
                !log.starts_with("earlier output")
            }),
        };
    the_log_is_not_read_back: "standard output, a file of the caller's, is opened anew and read",
        Bare::Works, "assert b'earlier' in read('/proc/self/fd/1')",
        { log: true };
    no_token_comes_along: "a token in the caller's environment is read",
        Bare::Works, "assert 'SECRET_TOKEN' in os.environ";
    no_agent_comes_along: "the caller's agent is found through the environment",
        Bare::Works, "assert 'SSH_AUTH_SOCK' in os.environ";
    init_holds_no_token: "a token is read from the environment of another process",
        Bare::Works, "
def secret(pid):
    assert int(pid) != os.getpid() and b'SECRET_TOKEN' in read(f'/proc/{pid}/environ', 1 << 20)
any_of([p for p in os.listdir('/proc') if p.isdigit()], secret)";
    init_shows_no_command_line: "the arguments of the sandbox are read from its first process",
        Bare::Works, "
def profile(pid):
    assert int(pid) != os.getpid() and b'attack' in read(f'/proc/{pid}/cmdline', 1 << 20)
any_of([p for p in os.listdir('/proc') if p.isdigit()], profile)";
    ignored_signals_do_not_come_along: "a signal that the caller ignores is ignored",
        Bare::Works, "assert signal.getsignal(signal.SIGUSR1) == signal.SIG_IGN";
    the_mask_of_modes_does_not_come_along: "files are made writable for everybody, by the caller's umask",
        Bare::Works, "assert os.umask(0) == 0";
    there_are_no_capabilities: "there are capabilities in one of the sets",
        Bare::Works, "
sets = [line.split() for line in open('/proc/self/status') if line.startswith('Cap')]
assert any(int(value, 16) for _, value in sets)";
    privileges_are_not_gained: "a setuid program could give privileges",
        Bare::Works, "assert [line.split()[1] for line in open('/proc/self/status') if line.startswith('NoNewPrivs')] == ['0']";
    ids_are_not_changed: "another id is taken",
        Bare::Root, "os.setresuid(65534, 65534, 65534)";
    the_host_is_not_roots_to_root: "uid 0 of the host's is the command's",
        Bare::Root, "
ranges = [line.split() for line in open('/proc/self/uid_map')]
assert os.stat('/proc/self').st_uid == 0 and any(outside == '0' for _, outside, _ in ranges)";
}
