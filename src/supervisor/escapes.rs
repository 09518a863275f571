//! What of the control sequences of a command reaches the caller's terminal (console_codes(4), ECMA-48), where the
//! profile lets only those through that display.
//!
//! A terminal is given whole sequences of a list, each written anew, and text that is UTF-8. Everything else is
//! dropped: what the terminal would answer, keep, print or act upon, what nobody here knows, and what has no end.
//! So it does not matter in which way a terminal reads what is malformed: it does not get it.

/// The longest sequence that is passed on.
const LONGEST: usize = 256;
/// The most characters of a title.
const TITLE: usize = 256;

const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;
/// Either ends a sequence before its end.
const CANCEL: [u8; 2] = [0x18, 0x1a];
/// What stands for bytes that are no UTF-8.
const REPLACEMENT: &str = "\u{fffd}";

/// Where in the output the next byte is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// In a character; so many bytes of it are to come.
    Character(u8),
    /// Behind ESC.
    Escape,
    /// Behind ESC `[`.
    Control,
    /// In a string: of an operating system command (ESC `]`), which may be a title, or one that is dropped.
    String { is_command: bool },
    /// In such a string, behind an ESC that may begin its end.
    StringEscape { is_command: bool },
}

/// The filter of one stream.
#[derive(Debug, Default)]
pub(super) struct Filter {
    state: State,
    /// What has come of the character or of the sequence, without its introducer.
    held: Vec<u8>,
}

impl Filter {
    /// What is handed on of what came; what has begun and not ended is held back.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        for byte in bytes {
            // A byte that ends what it does not belong to is looked at anew.
            while !self.takes(*byte, &mut out) {}
        }
        out
    }

    fn enter(&mut self, state: State) -> bool {
        self.state = state;
        self.held.clear();
        true
    }

    /// Keeps a byte; what is too long is not passed on, wherever it ends.
    fn hold(&mut self, byte: u8) -> bool {
        if self.held.len() <= LONGEST {
            self.held.push(byte);
        }
        true
    }

    fn takes(&mut self, byte: u8, out: &mut Vec<u8>) -> bool {
        match self.state {
            State::Text => match byte {
                ESC => self.enter(State::Escape),
                0x20..=0x7e => {
                    out.push(byte);
                    true
                }
                0xc2..=0xdf => self.begins(byte, 1),
                0xe0..=0xef => self.begins(byte, 2),
                0xf0..=0xf4 => self.begins(byte, 3),
                0x80..=0xff => {
                    out.extend(REPLACEMENT.bytes());
                    true
                }
                _ => control_character(byte, out),
            },
            State::Character(left) => {
                if !(0x80..=0xbf).contains(&byte) {
                    out.extend(REPLACEMENT.bytes());
                    self.enter(State::Text);
                    return false;
                }
                self.held.push(byte);
                if left > 1 {
                    self.state = State::Character(left - 1);
                    return true;
                }
                self.character(out)
            }
            State::Escape => self.escape(byte, out),
            State::Control => match byte {
                ESC => self.enter(State::Escape),
                0x20..=0x3f => self.hold(byte),
                0x40..=0x7e => {
                    if let Some(sequence) = control_sequence(&self.held, byte) {
                        out.extend(sequence);
                    }
                    self.enter(State::Text)
                }
                byte => self.within(byte, out),
            },
            State::String { is_command } => match byte {
                ESC => {
                    self.state = State::StringEscape { is_command };
                    true
                }
                BEL if is_command => self.ends_command(out),
                byte if CANCEL.contains(&byte) => self.enter(State::Text),
                byte => self.hold(byte),
            },
            State::StringEscape { is_command } => match byte {
                b'\\' if is_command => self.ends_command(out),
                b'\\' => self.enter(State::Text),
                _ => {
                    self.enter(State::Escape);
                    false
                }
            },
        }
    }

    fn begins(&mut self, byte: u8, left: u8) -> bool {
        self.enter(State::Character(left));
        self.hold(byte)
    }

    /// A character has come as a whole.
    fn character(&mut self, out: &mut Vec<u8>) -> bool {
        let found = std::str::from_utf8(&self.held).ok();
        match found.and_then(|text| text.chars().next()) {
            None => out.extend(REPLACEMENT.bytes()),
            // The control characters of eight bits, which some terminals take for these sequences.
            Some('\u{9b}') => return self.enter(State::Control),
            Some('\u{9d}') => return self.enter(State::String { is_command: true }),
            Some('\u{90}' | '\u{98}' | '\u{9e}' | '\u{9f}') => {
                return self.enter(State::String { is_command: false });
            }
            Some('\u{80}'..='\u{9f}') => {}
            Some(_) => out.extend(&self.held),
        }
        self.enter(State::Text)
    }

    fn escape(&mut self, byte: u8, out: &mut Vec<u8>) -> bool {
        match byte {
            ESC => self.enter(State::Escape),
            0x20..=0x2f => self.hold(byte),
            b'[' if self.held.is_empty() => self.enter(State::Control),
            b']' if self.held.is_empty() => self.enter(State::String { is_command: true }),
            // Device control, start of string, privacy, application; titles of screen(1).
            b'P' | b'X' | b'^' | b'_' | b'k' if self.held.is_empty() => {
                self.enter(State::String { is_command: false })
            }
            0x30..=0x7e => {
                if displays(&self.held, byte) {
                    out.push(ESC);
                    out.extend(&self.held);
                    out.push(byte);
                }
                self.enter(State::Text)
            }
            byte => self.within(byte, out),
        }
    }

    /// What does not belong into a sequence: a control character takes effect at once, and the sequence goes
    /// on; what is no ASCII ends it.
    fn within(&mut self, byte: u8, out: &mut Vec<u8>) -> bool {
        if CANCEL.contains(&byte) {
            return self.enter(State::Text);
        }
        if byte >= 0x80 {
            self.enter(State::Text);
            return false;
        }
        control_character(byte, out)
    }

    /// An operating system command has ended. Only those that set titles are passed on: the one of the clipboard
    /// (52), those of colours, which terminals answer, links, notices and files are not.
    fn ends_command(&mut self, out: &mut Vec<u8>) -> bool {
        let text = String::from_utf8_lossy(&self.held);
        if let Some((number @ ("0" | "1" | "2"), title)) = text.split_once(';')
            && self.held.len() <= LONGEST
        {
            let title = title.chars().filter(|c| !c.is_control()).take(TITLE);
            let title: String = title.collect();
            out.extend(format!("\x1b]{number};{title}\x07").bytes());
        }
        self.enter(State::Text)
    }
}

/// BEL, BS, HT, LF, VT, FF, CR, and the two of character sets. To ENQ the terminal would answer.
fn control_character(byte: u8, out: &mut Vec<u8>) -> bool {
    if matches!(byte, 0x07..=0x0f) {
        out.push(byte);
    }
    true
}

/// Whether an escape sequence does no more than display.
fn displays(intermediates: &[u8], last: u8) -> bool {
    match intermediates {
        // The cursor saved and restored, lines, a tab stop, the keypad, all as in the beginning.
        [] => matches!(
            last,
            b'7' | b'8' | b'D' | b'E' | b'M' | b'H' | b'=' | b'>' | b'c'
        ),
        // Character sets; UTF-8.
        [b'(' | b')' | b'*' | b'+'] => matches!(last, b'0' | b'1' | b'2' | b'A' | b'B'),
        [b'%'] => last == b'G',
        // Large lines, and a screen full of E.
        [b'#'] => matches!(last, b'3'..=b'6' | b'8'),
        _ => false,
    }
}

/// The modes of DEC that a program may set: cursor keys, origin, wrapping, the cursor, the other screen, the mouse,
/// marks around what is pasted, frames as a whole. What would be answered, lock the keyboard or change the size of
/// the window is not among them.
const MODES: &[&str] = &[
    "1", "5", "6", "7", "8", "9", "12", "25", "45", "47", "66", "67", "69", "1000", "1002", "1003",
    "1004", "1005", "1006", "1007", "1015", "1016", "1034", "1036", "1039", "1047", "1048", "1049",
    "2004", "2026",
];

/// A control sequence as it is passed on, if it is; `held` is what stands between ESC `[` and its last byte.
fn control_sequence(held: &[u8], last: u8) -> Option<Vec<u8>> {
    if held.len() > LONGEST {
        return None;
    }
    let text = std::str::from_utf8(held).ok()?;
    let (prefix, rest) = match text.split_at_checked(1) {
        Some((prefix @ ("<" | "=" | ">" | "?"), rest)) => (prefix, rest),
        _ => ("", text),
    };
    let end = rest.find(|c: char| !matches!(c, '0'..='9' | ';' | ':'));
    let (parameters, intermediates) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
    let mut kept = parameters.to_owned();
    let passes = match (prefix, intermediates, last) {
        // The cursor, what is erased, inserted and deleted, scrolling, tabs, colours, the margins.
        ("", "", b'@' | b'A'..=b'M' | b'P' | b'S' | b'T' | b'X' | b'Z' | b'`' | b'a' | b'b') => {
            true
        }
        ("", "", b'd'..=b'g' | b'm' | b'r' | b's' | b'u') => true,
        ("", "", b'h' | b'l') => {
            kept = only(parameters, &["4", "20"]);
            !kept.is_empty()
        }
        // The title put aside and had back; else these move windows, or are answered.
        ("", "", b't') => matches!(parameters.split(';').next(), Some("22" | "23")),
        ("?", "", b'h' | b'l' | b'r' | b's') => {
            kept = only(parameters, MODES);
            !kept.is_empty()
        }
        ("?", "", b'J' | b'K') => true,
        // How keys are told, set and had back.
        (">", "", b'm') | ("<" | "=" | ">", "", b'u') => true,
        // The shape of the cursor; a soft reset.
        ("", " ", b'q') | ("", "!", b'p') => true,
        _ => false,
    };
    passes.then(|| {
        let parts = ["\x1b[", prefix, &kept, intermediates].map(str::as_bytes);
        let mut sequence = parts.concat();
        sequence.push(last);
        sequence
    })
}

/// Those of the parameters that are among these.
fn only(parameters: &str, permitted: &[&str]) -> String {
    let kept: Vec<_> = parameters
        .split(';')
        .filter(|parameter| permitted.contains(parameter))
        .collect();
    kept.join(";")
}

#[cfg(test)]
mod tests {
    use super::Filter;

    fn passed(text: impl AsRef<[u8]>) -> String {
        String::from_utf8(Filter::default().pass(text.as_ref())).unwrap()
    }

    /// What terminals do something else with than display it.
    const DROPPED: &[&str] = &[
        "\x1b]52;c;aGVsbG8=\x07",
        "\x1b]52;c;?\x1b\\",
        "\x1b]4;1;?\x07",
        "\x1b]10;?\x1b\\",
        "\x1b]8;;file:///etc/passwd\x07",
        "\x1b]1337;File=inline=1:aGVsbG8=\x07",
        "\x1b]9;a notice\x07",
        "\x1b[c",
        "\x1b[0c",
        "\x1b[>c",
        "\x1b[=c",
        "\x1b[5n",
        "\x1b[6n",
        "\x1b[?6n",
        "\x1b[?996n",
        "\x1b[18t",
        "\x1b[21t",
        "\x1b[3;0;0t",
        "\x1b[x",
        "\x1b[i",
        "\x1b[?5i",
        "\x1b[>q",
        "\x1b[?u",
        "\x1b[?4m",
        "\x1b[?2026$p",
        "\x1b[1;1;1;1;1;1*y",
        "\x1b[#|",
        "\x1b[2h",
        "\x1b[?3h",
        "\x1b[?2048h",
        "\x1bZ",
        "\x1bP$qm\x1b\\",
        "\x1bP+q544e\x1b\\",
        "\x1bPtmux;\x1b\x1b]52;c;eA==\x07\x1b\\",
        "\x1bX anything \x1b\\",
        "\x1b^ anything \x1b\\",
        "\x1b_Gi=31;AAAA\x1b\\",
        "\x1bk title \x1b\\",
        "\u{9b}6n",
        "\u{9d}52;c;eA==\x07",
        "\u{90}$qm\x1b\\",
        "\x05",
        "\x11\x13",
        "\x1b[6\x18",
        "\x1b[\x1b[6n",
        "\x1b[<6>n",
        "\x1b[ 6n",
    ];

    /// What is displayed.
    const PASSED: &[&str] = &[
        "plain text\r\n\tand more\x08\x07",
        "Grüße, 世界 🎉",
        "\x1b[1;38;5;196mred\x1b[0m\x1b[38:2::1:2:3m",
        "\x1b[?1049h\x1b[22;0;0t\x1b[2J\x1b[H\x1b[?25l\x1b[3;20r\x1b[K",
        "\x1b7\x1b8\x1bM\x1b(0lqk\x1b(B\x1b=\x1b>\x1bc\x1b#8",
        "\x1b[?1000;1006h\x1b[?2004l\x1b[>4;2m\x1b[<1u\x1b[2 q\x1b[!p",
        "\x1b]0;a title\x07",
        "\x1b]2;Grüße\x07",
    ];

    #[test]
    fn what_is_displayed_passes_and_nothing_else() {
        for text in PASSED {
            assert_eq!(passed(text), *text);
        }
        for text in DROPPED {
            // Of one whose string was cancelled by what followed, that may be left as text.
            let left = passed(format!("before{text}\x1b\\after"));
            assert!(
                left == "beforeafter" || *text == "\x1bPtmux;\x1b\x1b]52;c;eA==\x07\x1b\\",
                "{text:?}: {left:?}"
            );
            assert!(!left.contains('\x1b'), "{text:?}: {left:?}");
        }
        // Some of what it sets.
        assert_eq!(passed("\x1b[?1000;2048h"), "\x1b[?1000h");
        // Written anew: another end of the title, without what is no character.
        assert_eq!(passed("\x1b]2;a\nb\u{85}\x1b\\c"), "\x1b]2;ab\x07c");
        // A control character takes effect within a sequence.
        assert_eq!(passed("\x1b[1\r\nm"), "\r\n\x1b[1m");
    }

    #[test]
    fn what_is_no_utf_8_is_replaced() {
        for (bytes, text) in [
            (&b"a\xffb"[..], "a\u{fffd}b"),
            (b"\x9b6n", "\u{fffd}6n"),
            (b"\xc3(", "\u{fffd}("),
            (b"\xe2\x82\x1b[6n", "\u{fffd}"),
            (b"\xed\xa0\x80", "\u{fffd}"),
            (b"\xf0\x80\x80\x80", "\u{fffd}"),
            (b"\x1b[\xc3\xbc", "ü"),
        ] {
            assert_eq!(passed(bytes), text, "{bytes:?}");
        }
    }

    #[test]
    fn what_has_no_end_is_held_back_and_takes_no_more_room() {
        let mut filter = Filter::default();
        assert_eq!(filter.pass(b"a\x1b[1"), b"a");
        assert_eq!(filter.pass(&[b'1'; 100_000]), b"");
        assert!(filter.held.len() < 1000);
        assert_eq!(filter.pass(b"mb"), b"b");
        assert_eq!(filter.pass(b"\x1b]2;"), b"");
        assert_eq!(filter.pass(&[b'x'; 100_000]), b"");
        assert!(filter.held.len() < 1000);
        assert_eq!(filter.pass(b"\x07c"), b"c");
    }

    #[test]
    fn chunks_make_no_difference_and_what_has_passed_passes_again() {
        let parts: Vec<&[u8]> = DROPPED
            .iter()
            .chain(PASSED)
            .map(|text| text.as_bytes())
            .chain([
                &b"\x1b"[..],
                b"\x9b",
                b"\xc2",
                b"\xf0\x9f",
                b"[",
                b"]",
                b"\x18",
                b"\x07",
                b"6n",
                b"\x1bP",
            ])
            .collect();
        let mut state = 1_u64;
        let mut random = |below: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        for _ in 0..2000 {
            let count = 1 + random(12);
            let text: Vec<u8> = (0..count)
                .flat_map(|_| parts[random(parts.len())])
                .copied()
                .collect();
            let whole = Filter::default().pass(&text);
            let mut filter = Filter::default();
            let mut pieces = Vec::new();
            let mut rest = &text[..];
            while !rest.is_empty() {
                let (piece, other) = rest.split_at(1 + random(rest.len()));
                pieces.extend(filter.pass(piece));
                rest = other;
            }
            assert_eq!(pieces, whole, "{text:?}");
            assert_eq!(Filter::default().pass(&whole), whole, "{text:?}");
            let whole = String::from_utf8(whole).unwrap();
            for dropped in ["]52", "6n", "\x1b[c", "\x1bP", "\x05"] {
                let escaped = [format!("\x1b{dropped}"), format!("\x1b[{dropped}")];
                assert!(
                    !escaped.iter().any(|text| whole.contains(text.as_str())),
                    "{text:?}"
                );
            }
        }
    }
}
