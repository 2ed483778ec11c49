//! Ports for servers that others wrote, which are told where to listen and do so later.

use std::net::TcpListener;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below those that the system gives to clients (from 32768 on): a server may take seconds until it listens, and leave
/// its port while it is started again; of the many connections that tests make meanwhile none takes such a port.
const PORTS: Range<u16> = 10_000..32_000;

/// How far the first ports of two processes with following numbers lie apart.
const PROCESS_STEP: u32 = 97;

/// Free at this moment; all held until all are known, so that they differ. Each call looks where no other one of this
/// process did, and beginning at a place that is its process's own.
pub fn free_ports<const N: usize>() -> Result<[u16; N], String> {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let place = |count: u32| {
        let all = u32::from(PORTS.end - PORTS.start);
        let offset = std::process::id()
            .wrapping_mul(PROCESS_STEP)
            .wrapping_add(count)
            % all;
        PORTS.start + u16::try_from(offset).unwrap_or_default()
    };
    let mut held = Vec::new();
    for _ in PORTS {
        let port = place(TAKEN.fetch_add(1, Ordering::Relaxed));
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            held.push((port, listener));
        }
        if held.len() == N {
            break;
        }
    }
    let ports: Vec<u16> = held.iter().map(|(port, _)| *port).collect();
    ports
        .try_into()
        .map_err(|_| format!("no {N} free ports in {PORTS:?}"))
}
