//! Which permitted names have led to which addresses: as many as there is room for, the latest.

use crate::plan::egress::Name;
use crate::plan::op::gate::OPEN;
use crate::sys::netlink::{self, Way};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::os::fd::{AsRawFd as _, OwnedFd};

/// How many addresses are known at once.
const ADDRESSES: usize = 4096;
/// How many names of one address.
const NAMES: usize = 64;

/// What was answered so far. For as long as it is known: programs keep answers longer than these say.
#[derive(Default)]
pub(super) struct Known {
    names: HashMap<IpAddr, Vec<Name>>,
    /// The addresses, in the order in which they came.
    order: VecDeque<IpAddr>,
    /// By which they are routed to the gate's open side.
    routes: Option<OwnedFd>,
}

impl Known {
    pub(super) fn new(routes: Option<OwnedFd>) -> Self {
        Self {
            routes,
            ..Self::default()
        }
    }

    /// The names that have led to an address, the latest last.
    pub(super) fn names(&self, address: IpAddr) -> &[Name] {
        self.names.get(&address).map_or(&[], Vec::as_slice)
    }

    /// Keeps that a name has led to an address, which the command is about to be told.
    pub(super) fn keep(&mut self, address: IpAddr, name: &Name) {
        if !self.names.contains_key(&address) {
            if self.order.len() >= ADDRESSES
                && let Some(oldest) = self.order.pop_front()
            {
                self.names.remove(&oldest);
            }
            self.order.push_back(address);
            self.route(address);
        }
        let names = self.names.entry(address).or_default();
        names.retain(|known| known != name);
        if names.len() >= NAMES {
            names.remove(0);
        }
        names.push(name.clone());
    }

    /// Routes an address to where connections are taken. Without it they are refused.
    fn route(&self, address: IpAddr) {
        let Some(routes) = &self.routes else {
            return;
        };
        let [four, six] = OPEN.gate;
        let (neighbour, length) = if address.is_ipv4() {
            (four, 32)
        } else {
            (six, 128)
        };
        let way = Way::Through(OPEN.index, neighbour);
        let _ = netlink::add_route(routes.as_raw_fd(), (address, length), way, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn what_is_known_stays_bounded() {
        let mut known = Known::default();
        let name = |number: u32| Name::parse(&format!("n{number}.example")).unwrap();
        for number in 0..10_000 {
            known.keep(Ipv4Addr::from_bits(number).into(), &name(number));
            known.keep(Ipv4Addr::from_bits(7).into(), &name(number));
        }
        assert!(known.names.len() <= ADDRESSES && known.order.len() <= ADDRESSES);
        assert!(known.names(Ipv4Addr::from_bits(7).into()).len() <= NAMES);
        assert_eq!(known.names(Ipv4Addr::from_bits(9999).into()), [name(9999)]);
        assert!(known.names(Ipv4Addr::from_bits(100).into()).is_empty());
    }
}
