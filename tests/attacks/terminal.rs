//! The terminal.

use crate::attack::Bare;

attacks! {
    nothing_is_typed_for_the_caller: "input is pushed into the caller's terminal",
        Bare::Root, "
import fcntl
fcntl.ioctl(0, 0x5412, b'x')", { terminal: true };
    nothing_is_typed_with_high_bits: "the same, with bits set that only the filter sees",
        Bare::Root, "
byte = ctypes.create_string_buffer(b'x')
call('ioctl', 0, 0x5412 | 1 << 32, byte)", { terminal: true };
    nothing_is_pasted_on_a_console: "the paste buffer of a console is asked for",
        Bare::Works, "
try: call('ioctl', 0, 0x541c, ctypes.create_string_buffer(b'\\x03'))
except OSError as error:
    if error.errno != ENOTTY: raise", { terminal: true };
    nothing_is_pasted_with_high_bits: "the same, with bits set that only the filter sees",
        Bare::Works, "
try: call('ioctl', 0, 0x541c | 1 << 40, ctypes.create_string_buffer(b'\\x03'))
except OSError as error:
    if error.errno != ENOTTY: raise", { terminal: true };
    no_line_discipline_is_set: "a line discipline is set on a terminal of the command's own",
        Bare::Works, "call('ioctl', os.openpty()[1], 0x5423, struct.pack('i', 0))";
    other_terminals_are_not_written: "another terminal of the host's is opened",
        Bare::Works, "
assert os.path.exists(os.ttyname(0))
any_of([f'/dev/pts/{n}' for n in os.listdir('/dev/pts') if n.isdigit()], lambda path: can_open(path, os.O_WRONLY | os.O_NOCTTY))",
        { terminal: true };
    consoles_are_not_opened: "a console of the machine is opened",
        Bare::Root, "any_of([f'/dev/{name}' for name in ('console', 'tty0', 'tty1', 'ttyS0', 'hvc0')], lambda path: can_open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK))";
    the_terminal_is_not_taken: "the caller's terminal becomes the command's controlling one",
        Bare::Works, "
import fcntl
can_open('/dev/tty', os.O_RDWR)", { terminal: true };
    nothing_is_typed_into_another_terminal: "input is pushed into a terminal of the command's own",
        Bare::Root, "
import fcntl
fcntl.ioctl(os.openpty()[1], 0x5412, b'x')";
}
