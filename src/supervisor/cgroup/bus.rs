//! As much of D-Bus as one method call needs (D-Bus Specification, "Authentication Protocol", "Message
//! Protocol"), on a socket that is simply read and written.
//!
//! The whole library would start threads, which stay for the rest of the run and which the clone would
//! meet. Marshalling is zvariant's.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;
use zvariant::serialized::{Context, Data};
use zvariant::{DynamicType, Endian, Type, Value, to_bytes};

/// A message's header: byte order, type, flags, version, length of the body, serial, fields.
type Header<'m> = (u8, u8, u8, u8, u32, u32, Vec<(u8, Value<'m>)>);

/// The types of messages.
const CALL: u8 = 1;
const ERROR: u8 = 3;
const SIGNAL: u8 = 4;

/// The numbers of header fields.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_TO: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// More than any answer to us has; the specification permits 128 MiB.
const LONGEST: usize = 1 << 20;

/// Who is called, and with which interface.
#[derive(Clone, Copy)]
pub(super) struct Callee {
    pub destination: &'static str,
    pub path: &'static str,
    pub interface: &'static str,
}

/// The bus itself.
pub(super) const BUS: Callee = Callee {
    destination: "org.freedesktop.DBus",
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
};

/// An authenticated connection.
pub(super) struct Connection {
    stream: BufReader<UnixStream>,
    deadline: Instant,
    serial: u32,
    bus: bool,
}

/// What has come.
pub(super) enum Message {
    /// The call of this serial failed: the error's name and what it says.
    Error(u32, String),
    /// A signal of this name, and its body.
    Signal(String, Body),
    /// Anything else.
    Other,
}

/// The arguments of a message, not yet read.
pub(super) struct Body(Data<'static, 'static>);

impl Body {
    /// The arguments; none if they are of other types.
    pub(super) fn read<'b, T>(&'b self) -> Option<T>
    where
        T: serde::Deserialize<'b> + Type,
    {
        self.0.deserialize().ok().map(|(value, _)| value)
    }
}

impl Connection {
    /// Connects and authenticates as `uid`; on a bus, also says hello, as the first call has to. All
    /// that follows has to be done within `patience`.
    pub(super) fn new(path: &Path, bus: bool, uid: u32, patience: Duration) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        let mut all = Self {
            stream: BufReader::new(stream),
            deadline: Instant::now() + patience,
            serial: 0,
            bus,
        };
        let digits: String = uid
            .to_string()
            .bytes()
            .map(|b| format!("{b:02x}"))
            .collect();
        all.send(format!("\0AUTH EXTERNAL {digits}\r\n").as_bytes())?;
        all.wait()?;
        let mut line = Vec::new();
        Read::by_ref(&mut all.stream)
            .take(1024)
            .read_until(b'\n', &mut line)?;
        if !line.starts_with(b"OK ") {
            let said = String::from_utf8_lossy(&line).trim().to_owned();
            return Err(io::Error::other(format!(
                "it does not take us for uid {uid}: `{said}`"
            )));
        }
        all.send(b"BEGIN\r\n")?;
        if bus {
            all.call(BUS, "Hello", None::<&(u8,)>)?;
        }
        Ok(all)
    }

    /// Whether a bus is between us and who is called.
    pub(super) fn is_bus(&self) -> bool {
        self.bus
    }

    /// Sends a call, without waiting for the answer: an error names the serial.
    pub(super) fn call<B>(&mut self, to: Callee, member: &str, body: Option<&B>) -> io::Result<u32>
    where
        B: Serialize + DynamicType,
    {
        self.serial += 1;
        let (arguments, signature) = match body {
            Some(body) => {
                let order = Context::new_dbus(Endian::Little, 0);
                let arguments = to_bytes(order, body).map_err(io::Error::other)?;
                // A message's arguments have the types of a structure, without its brackets.
                (arguments.to_vec(), body.signature().to_string_no_parens())
            }
            None => (Vec::new(), String::new()),
        };
        let mut fields = Vec::new();
        field(&mut fields, PATH, 'o', to.path)?;
        field(&mut fields, INTERFACE, 's', to.interface)?;
        field(&mut fields, MEMBER, 's', member)?;
        if self.bus {
            field(&mut fields, DESTINATION, 's', to.destination)?;
        }
        if !signature.is_empty() {
            field(&mut fields, SIGNATURE, 'g', &signature)?;
        }
        let mut message = vec![b'l', CALL, 0, 1];
        for number in [arguments.len(), self.serial as usize, fields.len()] {
            message.extend(length(number)?);
        }
        message.extend(fields);
        message.resize(message.len().next_multiple_of(8), 0);
        message.extend(arguments);
        self.send(&message)?;
        Ok(self.serial)
    }

    /// The next message.
    pub(super) fn receive(&mut self) -> io::Result<Message> {
        let mut bytes = vec![0; 16];
        self.read(&mut bytes)?;
        let (order, number): (_, fn([u8; 4]) -> u32) = match bytes.first() {
            Some(b'l') => (Endian::Little, u32::from_le_bytes),
            Some(b'B') => (Endian::Big, u32::from_be_bytes),
            _ => return Err(io::Error::other("what it sends is no message of D-Bus")),
        };
        let at = |place: usize| {
            let four = bytes
                .get(place..place + 4)
                .and_then(|four| four.try_into().ok());
            number(four.unwrap_or_default()) as usize
        };
        let (body, fields) = (at(4), at(12));
        if body.max(fields) > LONGEST {
            return Err(io::Error::other("it sends a message that is far too long"));
        }
        let start = (16 + fields).next_multiple_of(8);
        bytes.resize(start + body, 0);
        let rest = bytes.get_mut(16..).unwrap_or_default();
        self.read(rest)?;
        let body = bytes.split_off(start);
        let order = Context::new_dbus(order, 0);
        let header = Data::new(bytes, order);
        let (header, _) = header
            .deserialize::<Header<'_>>()
            .map_err(io::Error::other)?;
        let body = Body(Data::new(body, order));
        let field = |wanted| {
            header
                .6
                .iter()
                .find(|(number, _)| *number == wanted)
                .map(|f| &f.1)
        };
        let text = |wanted| match field(wanted) {
            Some(Value::Str(text)) => text.to_string(),
            _ => String::new(),
        };
        let call = match field(REPLY_TO) {
            Some(Value::U32(serial)) => *serial,
            _ => 0,
        };
        Ok(match header.1 {
            ERROR => {
                let said = body.read::<(String,)>().unwrap_or_default().0;
                Message::Error(call, format!("{}: {}", text(ERROR_NAME), said.trim()))
            }
            SIGNAL => Message::Signal(text(MEMBER), body),
            _ => Message::Other,
        })
    }

    fn read(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.wait()?;
        self.stream.read_exact(bytes)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wait()?;
        self.stream.get_mut().write_all(bytes)
    }

    /// Lets the next reads and writes take no longer than what is left.
    fn wait(&mut self) -> io::Result<()> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.stream.get_ref().set_read_timeout(Some(left))?;
        self.stream.get_ref().set_write_timeout(Some(left))
    }
}

/// Adds a field to those of a header. By hand, since zvariant puts a signature in brackets; the fields
/// begin at a multiple of eight.
fn field(fields: &mut Vec<u8>, number: u8, kind: char, text: &str) -> io::Result<()> {
    fields.resize(fields.len().next_multiple_of(8), 0);
    fields.extend([number, 1, kind as u8, 0]);
    match kind {
        'g' => fields.push(u8::try_from(text.len()).map_err(io::Error::other)?),
        _ => fields.extend(length(text.len())?),
    }
    fields.extend(text.as_bytes());
    fields.push(0);
    Ok(())
}

fn length(bytes: usize) -> io::Result<[u8; 4]> {
    let bytes = u32::try_from(bytes).map_err(io::Error::other)?;
    Ok(bytes.to_le_bytes())
}
