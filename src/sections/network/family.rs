//! The families of addresses that a socket can be of (address_families(7)), and what can be wrong with a list of
//! them.

use super::{Mode, Network};
use crate::diag::{Code, Diagnostic, Diagnostics, Origin};
use crate::review::{Area, Extent, Grant};
use crate::sections::Profile;
use crate::sections::enforce::Level;
use crate::sections::seccomp::policy::Answer;
use caps::Capability;

crate::choice! {
    /// A family of addresses.
    #[derive(Hash)]
    pub enum Family {
        /// Between processes of one machine (unix(7)).
        Unix = "unix",
        /// IPv4 (ip(7)): streams, datagrams, and raw sockets, which need CAP_NET_RAW.
        Inet = "inet",
        /// IPv6 (ipv6(7)), as `inet`.
        Inet6 = "inet6",
        /// Between the kernel and processes (netlink(7)), of its protocols the one for addresses, links and
        /// routes, NETLINK_ROUTE (rtnetlink(7)).
        Netlink = "netlink",
        /// Frames of an interface (packet(7)).
        Packet = "packet",
        /// Between virtual machines and their host (vsock(7)). Before Linux 7.0, no network namespace holds it.
        Vsock = "vsock",
        /// Bluetooth.
        Bluetooth = "bluetooth",
        /// The kernel's cryptography.
        Alg = "alg",
        /// The bus of vehicles and machines.
        Can = "can",
        /// Frames of an interface, past most of the kernel.
        Xdp = "xdp",
        /// Keys of IPsec.
        Key = "key",
        /// Bridges between clusters.
        Tipc = "tipc",
        /// Streams over remote memory access.
        Smc = "smc",
        /// Reliable datagrams.
        Rds = "rds",
        /// Remote calls of AFS.
        Rxrpc = "rxrpc",
        /// Messages over TCP streams.
        Kcm = "kcm",
        /// PPP over other links.
        Pppox = "pppox",
        /// Logical link control, IEEE 802.2.
        Llc = "llc",
        /// Wireless personal networks.
        Ieee802154 = "ieee802154",
        /// Near-field communication.
        Nfc = "nfc",
        /// Modems of phones.
        Phonet = "phonet",
        /// Modems of phones, of another maker.
        Caif = "caif",
        /// Processors beside the main one.
        Qipcrtr = "qipcrtr",
        /// Management of components on a board.
        Mctp = "mctp",
        /// X.25.
        X25 = "x25",
        /// Amateur radio.
        Ax25 = "ax25",
        /// AppleTalk.
        Appletalk = "appletalk",
    }
}

impl Family {
    /// The kernel's number.
    #[must_use]
    pub fn number(self) -> u64 {
        let number = match self {
            Self::Unix => libc::AF_UNIX,
            Self::Inet => libc::AF_INET,
            Self::Inet6 => libc::AF_INET6,
            Self::Netlink => libc::AF_NETLINK,
            Self::Packet => libc::AF_PACKET,
            Self::Vsock => libc::AF_VSOCK,
            Self::Bluetooth => libc::AF_BLUETOOTH,
            Self::Alg => libc::AF_ALG,
            Self::Can => libc::AF_CAN,
            Self::Xdp => libc::AF_XDP,
            Self::Key => libc::AF_KEY,
            Self::Tipc => libc::AF_TIPC,
            // Not in the libc crate; include/linux/socket.h.
            Self::Smc => 43,
            Self::Kcm => 41,
            Self::Qipcrtr => 42,
            Self::Mctp => 45,
            Self::Rds => libc::AF_RDS,
            Self::Rxrpc => libc::AF_RXRPC,
            Self::Pppox => libc::AF_PPPOX,
            Self::Llc => libc::AF_LLC,
            Self::Ieee802154 => libc::AF_IEEE802154,
            Self::Nfc => libc::AF_NFC,
            Self::Phonet => libc::AF_PHONET,
            Self::Caif => libc::AF_CAIF,
            Self::X25 => libc::AF_X25,
            Self::Ax25 => libc::AF_AX25,
            Self::Appletalk => libc::AF_APPLETALK,
        };
        u64::from(number.unsigned_abs())
    }

    /// Whether the default preset permits it, to some extent.
    #[must_use]
    pub const fn is_common(self) -> bool {
        matches!(self, Self::Unix | Self::Inet | Self::Inet6 | Self::Netlink)
    }

    /// How dangerous it is beside the common ones, in parts of 10,000 of the whole network.
    #[must_use]
    pub const fn danger(self) -> u32 {
        match self {
            Self::Unix | Self::Inet | Self::Inet6 | Self::Netlink => 0,
            // What no network namespace holds, or held for long.
            Self::Vsock | Self::Bluetooth => 3_000,
            Self::Packet | Self::Xdp | Self::Alg | Self::Key => 1_500,
            _ => 1_000,
        }
    }
}

impl Family {
    /// The capability without which the kernel makes no such socket.
    const fn capability(self) -> Option<Capability> {
        match self {
            Self::Packet | Self::Xdp => Some(Capability::CAP_NET_RAW),
            Self::Key => Some(Capability::CAP_NET_ADMIN),
            _ => None,
        }
    }
}

/// The families beside the common ones, as far as the filter permits any socket of them.
pub(super) fn others(place: Option<&Origin>, profile: &Profile) -> Option<Grant> {
    let (verdict, line) = profile.seccomp.sockets(profile);
    /// From SOCK_STREAM to SOCK_PACKET.
    const TYPES: std::ops::RangeInclusive<u64> = 1..=10;
    let permitted = |family: &&Family| {
        let number = family.number();
        let mut types = TYPES.map(|kind| verdict.answer(&[number, kind, 0, 0, 0, 0]));
        !family.is_common() && types.any(Answer::permits)
    };
    let others: Vec<_> = Family::ALL.iter().filter(permitted).collect();
    let share = others.iter().map(|family| family.danger()).max()?;
    let numbers = others.iter().map(|family| family.number());
    let names: Vec<_> = others.iter().map(|family| family.word()).collect();
    let extent = Extent::Numbers(numbers.map(|number| (number, number)).collect());
    let all = Family::ALL.iter().filter(|family| !family.is_common());
    let words = if others.len() == all.count() {
        "make sockets of any family".into()
    } else {
        format!("make sockets of the families {}", names.join(", "))
    };
    let key = "network:families";
    Some(Grant::new(Area::Network, key, extent, words, place.unwrap_or(line)).share(share))
}

impl Network {
    /// What the filter, the mode and the capabilities make of the families.
    pub(super) fn relate_families(&self, profile: &Profile, problems: &mut Diagnostics) {
        let Some(families) = &self.families else {
            return;
        };
        let seccomp = &profile.seccomp;
        // That is said of the whole filter.
        if profile.enforce.seccomp.value == Level::Off {
            return;
        }
        if let Some(place) = seccomp
            .refuses_sockets()
            .filter(|_| !families.value.is_empty())
        {
            problems.push(
                Diagnostic::new(
                    Code::NoEffect,
                    &families.origin,
                    "no socket can be made, whatever its family",
                )
                .and(place, "refuses socket(2)")
                .help("write allow = [\"@network-io\"] under [seccomp], or remove `families`"),
            );
            return;
        }
        if let Some(place) = seccomp.permits_rings() {
            problems.push(
                Diagnostic::new(
                    Code::FamiliesPassedBy,
                    place,
                    "on a ring of io_uring(7), sockets of any family are made without a system call",
                )
                .and(&families.origin, "only these here")
                .help("do not allow `io_uring_setup`, or remove `families`"),
            );
        }
        if let Some(place) = seccomp.permits_unseen_sockets() {
            problems.push(
                Diagnostic::new(
                    Code::FamiliesPassedBy,
                    place,
                    "by socketcall(2), 32-bit programs make sockets of any family",
                )
                .and(&families.origin, "only these here")
                .help("do not allow `socketcall`, or remove `families`"),
            );
        }
        if families.value.is_empty()
            && !self.mode.origin.is_default()
            && self.mode.value != Mode::None
        {
            problems.push(
                Diagnostic::new(
                    Code::NoEffect,
                    &self.mode.origin,
                    "without sockets there is no use of a network",
                )
                .and(&families.origin, "no family here")
                .help("write `mode = \"none\"`, or the families that are needed: families = [\"unix\", \"inet\"]"),
            );
        }
        for family in &families.value {
            let Some(capability) = family.capability() else {
                continue;
            };
            if profile.capabilities.keeps(capability) {
                continue;
            }
            let name = capability.to_string().to_lowercase();
            let name = name.trim_start_matches("cap_");
            let word = family.word();
            problems.push(
                Diagnostic::new(
                    Code::CallWithoutCapability,
                    &families.origin,
                    format!("\"{word}\" is a family of which the kernel makes no socket without `{name}`"),
                )
                .help(format!("write keep = [\"{name}\"] under [capabilities], or remove \"{word}\"")),
            );
        }
    }
}
