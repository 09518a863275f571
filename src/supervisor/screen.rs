//! What a command has changed on the caller's terminal and not changed back (console_codes(4), ECMA-48, the control
//! sequences of xterm): the other screen, a hidden cursor, mouse reports, marks around what is pasted, and the like. A
//! program that is killed leaves them, and whoever works at the terminal next would have to know reset(1).
//!
//! What was handed on is followed as a terminal would read it, but only as far as to know what to give back. Whatever the
//! bytes are, what is written in the end is of a list of fixed sequences, and each only if it is called for.

use crate::plan::op::Stream;
use crate::sys::descriptor;
use crate::sys::memory::SharedWord;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::write;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A change, and the sequence that takes it back.
struct Change {
    bit: u32,
    undo: &'static [u8],
}

/// The private modes of DEC that are followed: the number, whether it is set in the beginning, and what takes a change
/// back. The bit is the place in this list, and the order that in which they are taken back. Modes whose beginning depends on
/// how the terminal is configured are not among them, nor those that resize or clear the screen.
const MODES: &[(u16, bool, &[u8])] = &[
    // Frames as a whole, first: nothing else would be shown.
    (2026, false, b"\x1b[?2026l"),
    // The other screen, in the three ways there are.
    (1049, false, b"\x1b[?1049l"),
    (1047, false, b"\x1b[?1047l"),
    (47, false, b"\x1b[?47l"),
    // Margins at the sides; the cursor counted from the margins.
    (69, false, b"\x1b[?69l"),
    (6, false, b"\x1b[?6l\x1b[999;1H"),
    // Cursor keys, a reversed screen, wrapping, keys that repeat, the cursor.
    (1, false, b"\x1b[?1l"),
    (5, false, b"\x1b[?5l"),
    (7, true, b"\x1b[?7h"),
    (8, true, b"\x1b[?8h"),
    (25, true, b"\x1b[?25h"),
    (45, false, b"\x1b[?45l"),
    (66, false, b"\x1b[?66l"),
    // What of the mouse is reported, and how.
    (9, false, b"\x1b[?9l"),
    (1000, false, b"\x1b[?1000l"),
    (1001, false, b"\x1b[?1001l"),
    (1002, false, b"\x1b[?1002l"),
    (1003, false, b"\x1b[?1003l"),
    (1005, false, b"\x1b[?1005l"),
    (1006, false, b"\x1b[?1006l"),
    (1015, false, b"\x1b[?1015l"),
    (1016, false, b"\x1b[?1016l"),
    // The focus, what is pasted, the colours, the size.
    (1004, false, b"\x1b[?1004l"),
    (2004, false, b"\x1b[?2004l"),
    (2031, false, b"\x1b[?2031l"),
    (2048, false, b"\x1b[?2048l"),
];

/// The bits of [`MODES`] by which the other screen is shown.
const OTHER_SCREEN: u64 = 0b1110;
/// That by which the cursor is saved too.
const SAVES_CURSOR: u64 = 0b10;
const ORIGIN: u64 = 1 << 5;

/// What else is followed.
const LOCKED: Change = change(26, b"\x1b[2l");
const INSERTS: Change = change(27, b"\x1b[4l");
const NEW_LINES: Change = change(28, b"\x1b[20l");
const KEYPAD: Change = change(29, b"\x1b>");
/// The margins above and below; the cursor stays where it is.
const MARGINS: Change = change(30, b"\x1b7\x1b[r\x1b8");
const CURSOR_SHAPE: Change = change(31, b"\x1b[0 q");
/// How keys with modifiers are told (`modifyOtherKeys` of xterm), and flags of the other protocol for that.
const OTHER_KEYS: Change = change(32, b"\x1b[>4m");
const KEY_FLAGS: Change = change(33, b"\x1b[=0u");
/// Another character set as the first, and another one than the first in use.
const FIRST_SET: Change = change(34, b"\x1b(B");
const SHIFTED: Change = change(35, b"\x0f");
/// In the middle of a sequence, which is cancelled.
const UNFINISHED: Change = change(36, b"\x18");
/// How often flags for keys were put aside on each screen: three bits each.
const PUSHED: u32 = 37;
const PUSHED_ON_OTHER: u32 = 40;
const POP: &[u8] = b"\x1b[<u";
/// Colours and the like, a bit for each kind of attribute.
const ATTRIBUTES: u32 = 43;
const PLAIN: &[u8] = b"\x1b[0m";

/// What is saved with the cursor.
const WITH_CURSOR: u64 =
    (u64::MAX << ATTRIBUTES) | (1 << FIRST_SET.bit) | (1 << SHIFTED.bit) | ORIGIN;

const fn change(bit: u32, undo: &'static [u8]) -> Change {
    Change { bit, undo }
}

/// What is to be given back, in the bits above.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Left(u64);

impl Left {
    fn has(self, bits: u64) -> bool {
        self.0 & bits != 0
    }

    fn put(&mut self, bits: u64, is: bool) {
        match is {
            true => self.0 |= bits,
            false => self.0 &= !bits,
        }
    }

    fn set(&mut self, change: &Change, is: bool) {
        self.put(1 << change.bit, is);
    }

    const fn attributes(self) -> u64 {
        self.0 >> ATTRIBUTES
    }

    const fn pushed(self, place: u32) -> u64 {
        self.0 >> place & 7
    }

    /// The sequences that give it back, in order.
    pub(super) fn undo(self) -> impl Iterator<Item = &'static [u8]> {
        let changed = move |change: &Change| self.has(1 << change.bit).then_some(change.undo);
        let modes = (0_u32..).zip(MODES);
        let modes = modes.filter_map(move |(bit, (.., undo))| self.has(1 << bit).then_some(*undo));
        let pops = |place| (0..self.pushed(place)).map(|_| POP);
        // Flags for keys are of the screen that is shown.
        let on_other = self.has(OTHER_SCREEN);
        [
            changed(&UNFINISHED),
            on_other.then(|| changed(&KEY_FLAGS)).flatten(),
        ]
        .into_iter()
        .flatten()
        .chain(pops(PUSHED_ON_OTHER))
        .chain(modes)
        .chain(changed(&KEY_FLAGS))
        .chain(pops(PUSHED))
        .chain(
            [
                &MARGINS,
                &LOCKED,
                &INSERTS,
                &NEW_LINES,
                &KEYPAD,
                &CURSOR_SHAPE,
                &OTHER_KEYS,
                &FIRST_SET,
                &SHIFTED,
            ]
            .into_iter()
            .filter_map(changed),
        )
        .chain((self.attributes() != 0).then_some(PLAIN))
    }
}

/// Where in the output the next byte is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// Behind ESC.
    Escape,
    /// Behind ESC `[`.
    Control,
    /// In a string: one that BEL ends too, or not.
    String { is_command: bool },
}

/// As many parameters of a sequence as are looked at.
const PARAMETERS: usize = 32;

/// Follows what is handed on to a terminal.
#[derive(Clone, Debug, Default)]
pub(super) struct Screen {
    state: State,
    left: Left,
    /// What the cursor was saved with.
    saved: Left,
    /// Modes as they were put aside.
    aside: Left,
    /// The character in front of the parameters, and the last one behind them; 0 for none.
    prefix: u8,
    intermediate: u8,
    parameters: [u16; PARAMETERS],
    count: usize,
}

impl Screen {
    /// What is to be given back by now.
    pub(super) fn left(&self) -> Left {
        let mut left = self.left;
        if left.has(SAVES_CURSOR) {
            // With the screen, the cursor will come back.
            left.0 |= self.saved.0 & WITH_CURSOR;
        }
        left.set(&UNFINISHED, self.state != State::Text);
        left
    }

    /// Follows what was written.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            if self.state == State::Text {
                // Most of what is written is text.
                let Some(at) = bytes
                    .iter()
                    .position(|byte| matches!(byte, 0x0e | 0x0f | 0x1b))
                else {
                    return;
                };
                match bytes.get(at) {
                    Some(0x1b) => self.enter(State::Escape),
                    byte => self.left.set(&SHIFTED, byte == Some(&0x0e)),
                }
                bytes = bytes.get(at + 1..).unwrap_or_default();
                continue;
            }
            bytes = rest;
            self.takes(*first);
        }
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.prefix = 0;
        self.intermediate = 0;
        self.parameters = [0; PARAMETERS];
        self.count = 0;
    }

    /// Takes a byte that is not in text.
    fn takes(&mut self, byte: u8) {
        match (self.state, byte) {
            // These two cancel whatever it is.
            (_, 0x18 | 0x1a) => self.enter(State::Text),
            // A string ends here, and what ends it is a sequence of its own.
            (_, 0x1b) => self.enter(State::Escape),
            (State::String { is_command: true }, 0x07) => self.enter(State::Text),
            (State::String { .. } | State::Text, _) => {}
            (_, 0x0e | 0x0f) => self.left.set(&SHIFTED, byte == 0x0e),
            // Other control characters take effect within a sequence.
            (_, 0x00..=0x1f | 0x7f) => {}
            (State::Escape, 0x20..=0x2f) => self.intermediate = byte,
            (State::Escape, 0x30..=0x7e) => self.escape(byte),
            (State::Control, b'<'..=b'?') => self.prefix = byte,
            (State::Control, 0x20..=0x2f) => self.intermediate = byte,
            (State::Control, b'0'..=b'9') => {
                if let Some(parameter) = self.parameters.get_mut(self.count) {
                    let digit = u16::from(byte - b'0');
                    *parameter = parameter.saturating_mul(10).saturating_add(digit);
                }
            }
            // Parts of one parameter mean what they mean together, which no mode does.
            (State::Control, b':' | b';') => self.count = (self.count + 1).min(PARAMETERS),
            (State::Control, 0x40..=0x7e) => {
                self.control(byte);
                self.enter(State::Text);
            }
            // What is no ASCII belongs into no sequence.
            (State::Escape | State::Control, _) => self.enter(State::Text),
        }
    }

    fn escape(&mut self, last: u8) {
        let is_command = last == b']';
        match (self.intermediate, last) {
            (0, b'[') => return self.enter(State::Control),
            (0, b']' | b'P' | b'X' | b'^' | b'_' | b'k') => {
                return self.enter(State::String { is_command });
            }
            (0, b'7') => self.saved = self.left,
            (0, b'8') => self.restore_cursor(),
            (0, b'=' | b'>') => self.left.set(&KEYPAD, last == b'='),
            // The second and the third set in the place of the first.
            (0, b'n' | b'o') => self.left.set(&SHIFTED, true),
            (0, b'c') => {
                self.left = Left::default();
                self.saved = Left::default();
            }
            (b'(', set) => self.left.set(&FIRST_SET, set != b'B'),
            _ => {}
        }
        self.enter(State::Text);
    }

    /// Colours and character sets come back with the cursor. Where terminals differ in that, more is given back
    /// than had to be.
    fn restore_cursor(&mut self) {
        self.left.0 |= self.saved.0 & WITH_CURSOR;
    }

    /// The parameters of a control sequence; one that is left out is 0.
    fn parameters(&self) -> &[u16] {
        let count = (self.count + 1).min(PARAMETERS);
        self.parameters.get(..count).unwrap_or_default()
    }

    fn control(&mut self, last: u8) {
        let first = self.parameters[0];
        let second = self.parameters[1];
        match (self.prefix, self.intermediate, last) {
            (b'?', 0, b'h' | b'l' | b's' | b'r') => self.modes(last),
            (0, 0, b'h' | b'l') => {
                for number in 0..self.parameters().len() {
                    let is = last == b'h';
                    match self.parameters.get(number) {
                        Some(2) => self.left.set(&LOCKED, is),
                        Some(4) => self.left.set(&INSERTS, is),
                        Some(20) => self.left.set(&NEW_LINES, is),
                        _ => {}
                    }
                }
            }
            (0, 0, b'm') => self.attributes(),
            (0, 0, b'r') => self.left.set(&MARGINS, (first, second) != (0, 0)),
            (0, 0, b's') => self.saved = self.left,
            (0, 0, b'u') => self.restore_cursor(),
            (0, b' ', b'q') => self.left.set(&CURSOR_SHAPE, first != 0),
            (b'>', 0, b'm') if first == 4 => self.left.set(&OTHER_KEYS, second != 0),
            (b'>', 0, b'n') if first == 4 => self.left.set(&OTHER_KEYS, false),
            (b'=', 0, b'u') => self.left.set(&KEY_FLAGS, first != 0),
            (b'>' | b'<', 0, b'u') => {
                let place = match self.left.has(OTHER_SCREEN) {
                    true => PUSHED_ON_OTHER,
                    false => PUSHED,
                };
                let now = self.left.pushed(place);
                let then = match self.prefix {
                    b'>' => (now + 1).min(7),
                    _ => now.saturating_sub(u64::from(first.max(1))),
                };
                self.left.0 = self.left.0 & !(7 << place) | then << place;
            }
            _ => {}
        }
    }

    /// Modes are set, reset, put aside or had back.
    fn modes(&mut self, last: u8) {
        for place in 0..self.parameters().len() {
            let number = self.parameters.get(place).copied().unwrap_or_default();
            // The cursor alone; the last of the three ways to the other screen does so too.
            if matches!(number, 1048 | 1049) {
                match last {
                    b'h' => self.saved = self.left,
                    b'l' => self.restore_cursor(),
                    _ => {}
                }
            }
            let mut known = (0_u32..).zip(MODES);
            let Some((bit, (_, begins, _))) = known.find(|(_, (mode, ..))| *mode == number) else {
                continue;
            };
            let bit = 1 << bit;
            match last {
                b's' => self.aside.put(bit, self.left.has(bit)),
                b'r' => self.left.put(bit, self.aside.has(bit)),
                _ => self.left.put(bit, (last == b'h') != *begins),
            }
        }
    }

    /// Select graphic rendition: what is set, of which kind.
    fn attributes(&mut self) {
        let mut is = self.left.attributes();
        let mut parameters = self.parameters().iter();
        while let Some(parameter) = parameters.next() {
            let (kind, set) = match parameter {
                0 => {
                    is = 0;
                    continue;
                }
                1 | 2 => (0, true),
                22 => (0, false),
                3 => (1, true),
                23 => (1, false),
                4 | 21 => (2, true),
                24 => (2, false),
                5 | 6 => (3, true),
                25 => (3, false),
                7 => (4, true),
                27 => (4, false),
                8 => (5, true),
                28 => (5, false),
                9 => (6, true),
                29 => (6, false),
                30..=38 | 90..=97 => (7, true),
                39 => (7, false),
                40..=48 | 100..=107 => (8, true),
                49 => (8, false),
                58 => (9, true),
                59 => (9, false),
                53 => (10, true),
                55 => (10, false),
                11..=19 => (11, true),
                10 => (11, false),
                _ => continue,
            };
            // Which colour it is, in further parameters.
            if matches!(parameter, 38 | 48 | 58) {
                let more = match parameters.next() {
                    Some(5) => 1,
                    Some(2) => 3,
                    _ => 0,
                };
                for _ in 0..more {
                    parameters.next();
                }
            }
            is = is & !(1 << kind) | u64::from(set) << kind;
        }
        self.left.0 = self.left.0 & !(u64::MAX << ATTRIBUTES) | is << ATTRIBUTES;
    }
}

/// What is to be given back, where also who outlives the supervisor sees it.
#[derive(Clone)]
pub(super) struct Shown(Arc<SharedWord>);

impl Shown {
    /// Nothing yet.
    pub(super) fn new() -> nix::Result<Self> {
        Ok(Self(Arc::new(SharedWord::new()?)))
    }

    /// What is to be given back.
    pub(super) fn left(&self) -> Left {
        Left(self.0.load())
    }
}

/// Follows one stream, and says what is to be given back.
pub(super) struct Follower {
    screen: Screen,
    /// As it will be once all that is being written is.
    next: Screen,
    told: Left,
    shown: Shown,
}

impl Follower {
    /// For a terminal on which nothing was left yet.
    pub(super) fn new(shown: Shown) -> Self {
        Self {
            screen: Screen::default(),
            next: Screen::default(),
            told: Left::default(),
            shown,
        }
    }

    /// Before something is written: who is killed while it is has left what was there before, or what comes of it.
    pub(super) fn begin(&mut self, bytes: &[u8]) {
        self.next.clone_from(&self.screen);
        self.next.follow(bytes);
        self.tell(Left(self.screen.left().0 | self.next.left().0));
    }

    /// What was written of it.
    pub(super) fn follow(&mut self, bytes: &[u8], written: usize) {
        match bytes.get(..written) {
            Some(part) if written < bytes.len() => self.screen.follow(part),
            _ => std::mem::swap(&mut self.screen, &mut self.next),
        }
        self.tell(self.screen.left());
    }

    fn tell(&mut self, left: Left) {
        if left != self.told {
            self.told = left;
            self.shown.0.store(left.0);
        }
    }
}

/// How long a terminal may take nothing of it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Writes what gives it back to the terminal that a standard stream leads to, as far as that takes it in time. Nothing is
/// allocated here: the guardian does so too.
pub(super) fn give_back(stream: Stream, left: Left) {
    if left == Left::default() {
        return;
    }
    // To that of another user it is written as it is.
    let anew = descriptor::open_terminal_of(stream).ok();
    let to = descriptor::borrow(anew.unwrap_or(stream));
    let until = Instant::now().checked_add(PATIENCE);
    for sequence in left.undo() {
        if write_in_time(to, sequence, until).is_err() {
            break;
        }
    }
    if let Some(anew) = anew {
        descriptor::close(anew);
    }
}

fn write_in_time(to: BorrowedFd<'_>, mut bytes: &[u8], until: Option<Instant>) -> nix::Result<()> {
    while !bytes.is_empty() {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| PollTimeout::try_from(left).ok());
        let mut fds = [PollFd::new(to, PollFlags::POLLOUT)];
        match poll(&mut fds, left.unwrap_or(PollTimeout::ZERO)) {
            Ok(0) => return Err(Errno::ETIMEDOUT),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
        match write(to, bytes) {
            Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Follower, Left, MODES, Screen, Shown, State};
    use proptest::prelude::*;

    #[test]
    fn what_is_being_written_is_told_before_it_is_there() {
        let shown = Shown::new().unwrap();
        let told = || text_of(shown.left());
        let mut follower = Follower::new(shown.clone());
        let (hides, shows) = (b"\x1b[?25l.\x1b[?1h", b"\x1b[?25h\x1b[?1l");
        follower.begin(hides);
        assert_eq!(told(), "\x1b[?1l\x1b[?25h");
        // A part of it, and the rest.
        follower.follow(hides, 7);
        assert_eq!(told(), "\x1b[?25h");
        follower.begin(&hides[7..]);
        follower.follow(&hides[7..], hides.len() - 7);
        assert_eq!(told(), "\x1b[?1l\x1b[?25h");
        follower.begin(shows);
        assert_eq!(told(), "\x1b[?1l\x1b[?25h");
        follower.follow(shows, shows.len());
        assert_eq!(told(), "");
    }

    fn undone(text: &str) -> String {
        let mut screen = Screen::default();
        screen.follow(text.as_bytes());
        text_of(screen.left())
    }

    fn text_of(left: Left) -> String {
        let bytes: Vec<u8> = left.undo().flatten().copied().collect();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn what_was_left_is_given_back_and_nothing_else() {
        for (written, undo) in [
            ("plain text\r\n", ""),
            // As vim, less and a program with a mouse leave it.
            (
                "\x1b[?1049h\x1b[22;0;0t\x1b[?1h\x1b=\x1b[?2004h\x1b[?25l\x1b[>4;2m\x1b[1;24r",
                "\x1b[?1049l\x1b[?1l\x1b[?25h\x1b[?2004l\x1b7\x1b[r\x1b8\x1b>\x1b[>4m",
            ),
            (
                "\x1b[?1000;1006h\x1b[?1003h",
                "\x1b[?1000l\x1b[?1003l\x1b[?1006l",
            ),
            // Given back by itself.
            ("\x1b[?1049h\x1b[?25l\x1b[?25h\x1b[?1049l", ""),
            ("\x1b[?25l\x1b[31m\x1bc", ""),
            (
                "\x1b[31;1mred\x1b[0m\x1b[7mother\x1b[27m\x1b[38;5;0mdark\x1b[39m",
                "",
            ),
            ("\x1b[1m\x1b[m", ""),
            ("\x1b(0lqk\x1b(B\x0e\x0f", ""),
            ("\x1b[>1u\x1b[<u\x1b[>4;2m\x1b[>4;0m\x1b[2 q\x1b[0 q", ""),
            ("\x1b[?7s\x1b[?7l\x1b[?7r", ""),
            // Left.
            ("\x1b[38;2;0;0;0m", "\x1b[0m"),
            ("\x1b[?7l\x1b[4h", "\x1b[?7h\x1b[4l"),
            ("\x1b(0\x0e", "\x1b(B\x0f"),
            (
                "\x1b[>1u\x1b[?1049h\x1b[>3u\x1b[>3u",
                "\x1b[<u\x1b[<u\x1b[?1049l\x1b[<u",
            ),
            // A colour that comes back with the cursor.
            ("\x1b[31m\x1b7\x1b[0m\x1b8", "\x1b[0m"),
            // In the middle of something; strings are not what they may look like.
            ("\x1b]2;\x1b[?25l a title", "\x1b[?25h"),
            ("\x1b]2;?25l[?25l", "\x18"),
            ("\x1bP[?25l\x1b\\", ""),
            ("\x1b[?25", "\x18"),
            ("\x1b[?2\x185l", ""),
            ("\x1b[?2\r\n5l", "\x1b[?25h"),
        ] {
            assert_eq!(undone(written), undo, "{written:?}");
        }
    }

    #[test]
    fn every_mode_is_given_back_alone() {
        for (number, begins, undo) in MODES {
            let (set, reset) = if *begins { ('l', 'h') } else { ('h', 'l') };
            let undo = std::str::from_utf8(undo).unwrap();
            assert_eq!(undone(&format!("\x1b[?{number}{set}")), undo);
            assert_eq!(
                undone(&format!("\x1b[?{number}{set}\x1b[?{number}{reset}")),
                ""
            );
        }
    }

    /// Bytes of which many are of sequences.
    fn output() -> impl Strategy<Value = Vec<u8>> {
        let parts = prop_oneof![
            Just(&b"\x1b[?"[..]),
            Just(&b"\x1b["[..]),
            Just(&b"\x1b]"[..]),
            Just(&b"\x1b("[..]),
            Just(&b"1049"[..]),
            Just(&b"25"[..]),
            Just(&b"38;5;"[..]),
            Just(&b";"[..]),
            Just(&b"h"[..]),
            Just(&b"l"[..]),
            Just(&b"m"[..]),
            Just(&b"\x1b>1u"[..]),
        ];
        let part = prop_oneof![
            parts.prop_map(<[u8]>::to_vec),
            proptest::collection::vec(any::<u8>(), 0..8)
        ];
        proptest::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn it_does_not_matter_in_which_parts_it_comes(bytes in output(), at in any::<prop::sample::Index>()) {
            let mut whole = Screen::default();
            whole.follow(&bytes);
            let mut parts = Screen::default();
            let (one, other) = bytes.split_at(at.index(bytes.len() + 1));
            parts.follow(one);
            parts.follow(other);
            prop_assert_eq!(whole.left(), parts.left());
            let mut single = Screen::default();
            bytes.chunks(1).for_each(|byte| single.follow(byte));
            prop_assert_eq!(whole.left(), single.left());
        }

        #[test]
        fn whatever_was_written_nothing_is_left_of_it(bytes in output()) {
            let mut screen = Screen::default();
            screen.follow(&bytes);
            let undo = text_of(screen.left());
            prop_assert!(undo.len() < 1000);
            screen.follow(undo.as_bytes());
            prop_assert_eq!(screen.state, State::Text);
            prop_assert_eq!(text_of(screen.left()), "");
        }
    }
}
