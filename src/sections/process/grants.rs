//! What a process may keep of its caller, and do to itself.

use super::{Escapes, InputFile, Keyring, OutputFiles, Personality, Process, Session, Terminal};
use crate::diag::{At, Origin};
use crate::profile::value::Mode;
use crate::review::{Area, Extent, Grant};

impl Process {
    /// What is left of the caller's session and rights over itself. The command permits nothing: what
    /// it may do, any program inside may; that its files are shown in a root of programs is said
    /// there ([`Rootfs::show`](crate::sections::rootfs::Rootfs::show)). The working directory grants
    /// nothing, as it has to lie inside; neither does doing without an init, which needs a new pid
    /// namespace, whose first process takes all others along.
    #[must_use]
    pub fn grants(&self) -> Vec<Grant> {
        let Self {
            command: _,
            argv0: _,
            cwd: _,
            umask,
            init: _,
            nice,
            oom_score_adj,
            session,
            terminal,
            escapes,
            write_execute,
            output_files,
            input_file,
            descriptors,
            labels,
            scheduling,
            hardening,
            by_descriptor,
            keyring,
            streams: _,
        } = self;
        let mode = !umask.value.0 & 0o777;
        let share = if mode & 0o022 == 0 { 0 } else { 2_000 };
        let words = format!("make files of mode {}", Mode(mode));
        let mut grants = vec![
            Grant::new(
                Area::Process,
                "process:umask",
                Extent::Bits(mode.into()),
                words,
                &umask.origin,
            )
            .share(share),
        ];
        let (rank, words, share) = match session.value {
            Session::New => (0, "be in a session of its own only", 0),
            Session::Inherit => (1, "stay in the caller's session, on its terminal", 6_000),
        };
        let key = "process:session";
        grants.push(Grant::rank(Area::Process, key, rank, words, &session.origin).share(share));
        let (rank, words, share) = match terminal.value {
            Terminal::None => (0, "work without a terminal", 0),
            Terminal::Own => (1, "work at a terminal of its own only", 0),
            Terminal::Auto if self.is_displayed() => {
                (1, "work at a terminal of its own only, or without one", 0)
            }
            Terminal::Auto => (
                2,
                "work at the caller's terminal, where that is not both input and output",
                0,
            ),
            Terminal::Caller => (3, "work at the caller's terminal", 300),
        };
        let key = "process:terminal";
        let origin = &terminal.origin;
        grants.push(Grant::rank(Area::Process, key, rank, words, origin).share(share));
        let (rank, words) = match escapes.value {
            Escapes::Display => (0, "write to a terminal what it displays"),
            Escapes::All => (1, "write to a terminal what it answers and acts upon"),
        };
        let key = "process:escapes";
        grants.push(Grant::rank(
            Area::Process,
            key,
            rank,
            words,
            &escapes.origin,
        ));
        let (rank, words, share) = match write_execute.value {
            false => (0, "execute only memory that was not writable", 0),
            true => (1, "execute memory that it has written", 200),
        };
        let key = "process:write_execute";
        let origin = &write_execute.origin;
        grants.push(Grant::rank(Area::Process, key, rank, words, origin).share(share));
        let (rank, words, share) = match output_files.value {
            OutputFiles::Relay => (
                0,
                "write to files of the caller's output through a pipe only",
                0,
            ),
            OutputFiles::Give => (
                1,
                "empty and rewrite the files that the caller's output goes to",
                200,
            ),
        };
        let key = "process:output_files";
        let origin = &output_files.origin;
        grants.push(Grant::rank(Area::Process, key, rank, words, origin).share(share));
        let (rank, words, share) = match input_file.value {
            InputFile::Read => (0, "read the file of the caller's input", 0),
            InputFile::Give => (
                1,
                "shorten the file of the caller's input, and change its mode",
                200,
            ),
        };
        let key = "process:input_file";
        let origin = &input_file.origin;
        grants.push(Grant::rank(Area::Process, key, rank, words, origin).share(share));
        grants.extend(descriptors.grants());
        grants.extend(labels.grants());
        grants.extend(self.stream_grants());
        grants.extend(hardening.grants());
        let (rank, words, share) = match keyring.value {
            Keyring::New => (0, "have no keys of the caller's session", 0),
            Keyring::Inherit => (1, "use the keys of the caller's session", 1_500),
        };
        let key = "process:keyring";
        let origin = &keyring.origin;
        grants.push(Grant::rank(Area::Process, key, rank, words, origin).share(share));
        let (rank, words) = match by_descriptor.value {
            false => (0, "execute programs of its root only"),
            true => (
                1,
                "execute one program of the host that its root does not hold",
            ),
        };
        let key = "process:by_descriptor";
        let origin = &by_descriptor.origin;
        let share = 100 * u32::from(by_descriptor.value);
        grants.push(Grant::rank(Area::Process, key, rank, words, origin).share(share));
        if let Some((priority, origin)) = scheduling.real_time() {
            let words =
                format!("take processors from everybody else (real-time priority {priority})");
            let key = "process:real_time";
            let grant = Grant::rank(Area::Process, key, u64::from(priority), words, origin);
            grants.push(grant.share(3_000));
            let (hands_on, origin) = scheduling.hands_on();
            let (rank, words) = match hands_on {
                false => (0, "keep a real-time policy to itself"),
                true => (1, "hand a real-time policy on to all that it starts"),
            };
            let key = "process:reset_on_fork";
            grants.push(Grant::rank(Area::Process, key, rank, words, origin));
        }
        if let Some((rank, origin)) = scheduling.real_time_io() {
            let words = "have its input and output done before everybody else's";
            let key = "process:real_time_io";
            grants.push(Grant::rank(Area::Process, key, rank, words, origin).share(1_000));
        }
        for personality in &scheduling.personality {
            let At { value, origin } = personality;
            let share = if *value == Personality::AddrNoRandomize {
                500
            } else {
                0
            };
            let extent = Extent::Bits(value.bits().into());
            let words = format!("take the personality {}", value.word());
            let key = format!("process:personality:{}", value.word());
            grants.push(Grant::new(Area::Process, key, extent, words, origin).share(share));
        }
        // The caller's value, where none is set, counts as 0: the kernel refuses to a user
        // namespace what would be better than it.
        for (value, name, best, what) in [
            (nice, "nice", 20_i32, "run at the nice value"),
            (oom_score_adj, "oom_score_adj", 1_000, "have the oom score"),
        ] {
            let default = Origin::Default("process");
            let number = value.as_ref().map_or(0, |at| at.value);
            let origin = value.as_ref().map_or(&default, |at| &at.origin);
            let words = match value {
                Some(_) => format!("{what} {number}"),
                None => format!("{what} of the caller"),
            };
            let rank = u64::try_from(i64::from(best) - i64::from(number)).unwrap_or(0);
            let share = if number < 0 { 1_000 } else { 0 };
            let key = format!("process:{name}");
            grants.push(Grant::rank(Area::Process, key, rank, words, origin).share(share));
        }
        grants
    }
}
