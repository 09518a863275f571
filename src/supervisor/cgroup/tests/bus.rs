//! The wire, with somebody at the other end who is no manager.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::JoinHandle;

use super::*;
use crate::host::cgroup::{Manager, Scope, Socket};
use crate::supervisor::cgroup::bus::{Connection, Message};

/// A socket at which `answer` is given the connection.
struct Other {
    path: PathBuf,
    thread: Option<JoinHandle<()>>,
}

impl Other {
    fn new(name: &str, answer: impl FnOnce(UnixStream) + Send + 'static) -> Other {
        let path = std::env::temp_dir().join(format!("bus-{}-{name}", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        let thread = std::thread::spawn(move || answer(listener.accept().unwrap().0));
        Other {
            path,
            thread: Some(thread),
        }
    }

    fn connect(&self, patience: Duration) -> io::Result<Connection> {
        Connection::new(&self.path, false, 7, patience)
    }

    fn ask(&self) -> String {
        ask(&Scope {
            manager: Manager::User,
            socket: Socket {
                path: self.path.clone(),
                bus: false,
            },
            unit: "sandbox-1-2.scope".into(),
            slice: "app.slice".into(),
            part_of: None,
            dir: "/nowhere".into(),
            tasks: Some(9),
            cpu_weight: None,
        })
        .unwrap_err()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
        let thread = self.thread.take().unwrap().join();
        assert!(thread.is_ok() || std::thread::panicking());
    }
}

/// Lets the caller in, and reads its call: header and arguments.
fn greet(stream: &mut UnixStream) -> Vec<u8> {
    let mut line = Vec::new();
    let mut byte = [0];
    for end in ["\r\n", "BEGIN\r\n"] {
        while !line.ends_with(end.as_bytes()) {
            stream.read_exact(&mut byte).unwrap();
            line.push(byte[0]);
        }
        if end == "\r\n" {
            assert!(line.starts_with(b"\0AUTH EXTERNAL 3"), "{line:?}");
            stream.write_all(b"OK 0123\r\n").unwrap();
        }
    }
    let mut call = vec![0; 4096];
    let read = stream.read(&mut call).unwrap();
    call.truncate(read);
    call
}

/// A message with one header field, of text, and its arguments.
fn message(kind: u8, field: u8, text: &str, arguments: &[u8]) -> Vec<u8> {
    let number = |n: usize| u32::try_from(n).unwrap().to_le_bytes();
    let mut fields = vec![field, 1, b's', 0];
    fields.extend(number(text.len()));
    fields.extend(text.bytes().chain([0]));
    let mut all = vec![b'l', kind, 0, 1];
    for n in [arguments.len(), 1, fields.len()] {
        all.extend(number(n));
    }
    all.extend(fields);
    all.resize(all.len().next_multiple_of(8), 0);
    all.extend(arguments);
    all
}

#[test]
fn a_call_says_what_it_asks_for_in_the_form_of_the_specification() {
    let other = Other::new("call", |mut stream| {
        let call = greet(&mut stream);
        assert_eq!(call.len() % 4, 0);
        assert_eq!(&call[..4], [b'l', 1, 0, 1]);
        let text = String::from_utf8_lossy(&call).into_owned();
        for word in [
            "\u{1}\u{1}o\0\u{19}\0\0\0/org/freedesktop/systemd1\0",
            "StartTransientUnit\0",
            // Without brackets around it.
            "\u{8}\u{1}g\0\u{10}ssa(sv)a(sa(sv))\0",
            "sandbox-1-2.scope\0",
            "Delegate\0\u{1}b\0",
            "TasksMax\0\u{1}t\0\u{9}\0\0",
            "PIDs\0\u{2}au\0",
        ] {
            assert!(text.contains(word), "no {word:?} in {text:?}");
        }
        assert!(!text.contains("PartOf") && !text.contains("DBus"));
        let said = b"\x08\0\0\0go away\n\0";
        let answer = message(3, 4, "org.example.No", said);
        stream.write_all(&answer).unwrap();
    });
    assert_eq!(other.ask(), "it refuses: org.example.No: go away");
}

#[test]
fn a_scope_in_which_we_are_not_is_not_taken_for_one() {
    let other = Other::new("liar", |mut stream| {
        greet(&mut stream);
        let job = (
            1_u32,
            zvariant::ObjectPath::try_from("/job/1").unwrap(),
            "sandbox-1-2.scope",
            "done",
        );
        let order = zvariant::serialized::Context::new_dbus(zvariant::Endian::Little, 0);
        let job = zvariant::to_bytes(order, &job).unwrap();
        // A signal of another name first.
        stream.write_all(&message(4, 3, "JobNew", &[])).unwrap();
        stream
            .write_all(&message(4, 3, "JobRemoved", &job))
            .unwrap();
    });
    assert_eq!(
        other.ask(),
        "it says that the scope was started, but this process is not in /nowhere"
    );
}

#[test]
fn whoever_does_not_speak_the_protocol_is_an_error() {
    let refuses = Other::new("refuses", |mut stream| {
        stream.write_all(b"REJECTED EXTERNAL\r\n").unwrap();
    });
    let said = refuses.ask();
    assert!(said.contains("does not take us for uid"), "{said}");

    let hangs_up = Other::new("hangs-up", |mut stream| {
        greet(&mut stream);
    });
    assert!(hangs_up.ask().starts_with("it cannot be talked to: "));

    for (name, bytes) in [
        ("noise", vec![b'x'; 64]),
        ("long", [&b"l\x02\0\x01"[..], &[255; 12]].concat()),
        (
            "fields",
            [&b"l\x02\0\x01\0\0\0\0\x01\0\0\0\x08\0\0\0"[..], &[255; 8]].concat(),
        ),
    ] {
        let other = Other::new(name, move |mut stream| {
            greet(&mut stream);
            stream.write_all(&bytes).unwrap();
        });
        assert!(
            other.ask().starts_with("it cannot be talked to: "),
            "{name}"
        );
    }

    let nobody = std::env::temp_dir().join("bus-of-nobody");
    assert!(Connection::new(&nobody, false, 7, Duration::from_secs(1)).is_err());
}

#[test]
fn silence_ends_with_our_patience() {
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    let other = Other::new("silent", move |mut stream| {
        stream.write_all(b"OK\x20\r\n").unwrap();
        let _ = receiver.recv();
    });
    let mut silent = other.connect(Duration::from_millis(200)).unwrap();
    let kind = |result: io::Result<Message>| result.err().unwrap().kind();
    assert_eq!(kind(silent.receive()), io::ErrorKind::WouldBlock);
    assert_eq!(kind(silent.receive()), io::ErrorKind::WouldBlock);
    drop(sender);
}
