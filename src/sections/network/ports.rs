//! `connect_ports` and `bind_ports`: which ports of TCP there are, where the network is the host's.

use super::Network;
use crate::diag::{At, Code, Diagnostic, Diagnostics, Origin};
use crate::plan::op::landlock::{BIND_TCP, CONNECT_TCP, Port};
use crate::profile::table::List;
use crate::review::{Area, Extent, Grant};

/// Each port once, in order.
pub(super) fn check(
    raw: Option<At<List<u32>>>,
    least: u16,
    problems: &mut Diagnostics,
) -> Option<At<Vec<u16>>> {
    let At { value, origin } = raw?;
    let mut ports = Vec::new();
    for number in value.0 {
        match u16::try_from(number.value) {
            Ok(port) if port >= least => ports.push(port),
            _ => problems.push(
                Diagnostic::new(
                    Code::WrongValue,
                    &number.origin,
                    format!("a port is a number from {least} to 65535"),
                )
                .help("for example: connect_ports = [443]"),
            ),
        }
    }
    ports.sort_unstable();
    ports.dedup();
    Some(At::new(ports, origin))
}

/// What the lists permit. The ports that may be connected to are counted behind those that may be served on.
pub(super) fn grant(network: &Network) -> Grant {
    const KINDS: u64 = 1 << 16;
    let lists = [
        (&network.bind_ports, 0, "serve on"),
        (&network.connect_ports, KINDS, "connect to"),
    ];
    let (mut numbers, mut words) = (Vec::new(), Vec::new());
    for (list, base, what) in lists {
        let Some(list) = list else {
            numbers.push((base, base + KINDS - 1));
            words.push(format!("{what} every port of TCP"));
            continue;
        };
        let ports = list.value.iter().map(|port| base + u64::from(*port));
        numbers.extend(ports.map(|port| (port, port)));
        let names: Vec<_> = list.value.iter().map(u16::to_string).collect();
        words.push(match names.is_empty() {
            true => format!("{what} no port of TCP"),
            false => format!("{what} the ports {} of TCP", names.join(", ")),
        });
    }
    let origin = network.port_lists().next().unwrap_or(&network.mode.origin);
    let words = match network.bounds_ports() {
        true => words.join(", "),
        false => "use every port there".into(),
    };
    Grant::new(
        Area::Network,
        "network:ports",
        Extent::Numbers(numbers),
        words,
        origin,
    )
}

impl Network {
    /// Whether not every port of TCP may be used.
    #[must_use]
    pub fn bounds_ports(&self) -> bool {
        self.port_lists().next().is_some()
    }

    /// The lines that bound ports.
    pub fn port_lists(&self) -> impl Iterator<Item = &Origin> {
        let lists = [&self.connect_ports, &self.bind_ports];
        lists.into_iter().flatten().map(|list| &list.origin)
    }

    /// What Landlock is to refuse, and which ports it permits all the same.
    #[must_use]
    pub fn bounded_ports(&self) -> (u64, Vec<Port>) {
        let lists = [
            (&self.connect_ports, CONNECT_TCP),
            (&self.bind_ports, BIND_TCP),
        ];
        let (mut handled, mut ports) = (0, Vec::new());
        for (list, access) in lists {
            let Some(list) = list else { continue };
            handled |= access;
            ports.extend(list.value.iter().map(|port| Port {
                port: *port,
                access,
            }));
        }
        (handled, ports)
    }
}
