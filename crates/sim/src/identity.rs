//! What tells one simulated CPE from the others of its kind: serial number, addresses, and the texts
//! of a model with them filled in. Deliberately no values and no protocol.

use crate::model::Model;
use crate::motion::{mix, seed_of};

/// One device of a kind.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// Its kind.
    pub model: &'a Model,
    /// Its number among its kind.
    pub number: u32,
}

impl Identity<'_> {
    /// Its serial number.
    pub fn serial(&self) -> String {
        format!("{}{:06}", self.model.serial_prefix, self.number)
    }

    /// Replaces `{serial}` and the like by what is this device's own.
    pub fn fill(&self, text: &str) -> String {
        if !text.contains('{') {
            return text.to_owned();
        }
        let [.., a, b, c] = self.number.to_be_bytes();
        let block = u32::from(self.model.block & 7);
        let wan = 64 + (block as u8) * 8 + (a & 7);
        let mut out = text
            .replace("{serial}", &self.serial())
            .replace("{tail}", &format!("{:04}", self.number % 10_000))
            .replace("{oui}", self.model.oui())
            .replace("{token}", &self.token())
            .replace("{imei}", &format!("35{:013}", self.number))
            .replace("{wan}", &format!("100.{wan}.{b}.{c}"))
            .replace("{ip}", &format!("192.168.1.{}", 2 + self.number % 90));
        for port in 0..8u32 {
            let name = format!("{{mac:{port}}}");
            if out.contains(&name) {
                out = out.replace(&name, &self.mac(block, port));
            }
        }
        out
    }

    /// Something that only the device and who it tells know.
    fn token(&self) -> String {
        let seed = seed_of(u64::from(self.number), &self.model.serial_prefix);
        format!("{:016x}", mix(seed))
    }

    fn mac(&self, block: u32, port: u32) -> String {
        let oui = self.model.oui();
        let vendor = |from: usize| oui.get(from..from + 2).unwrap_or("00");
        let own = self.number.wrapping_mul(8).wrapping_add(port) & 0x1F_FFFF;
        let [.., d, e, f] = (block << 21 | own).to_be_bytes();
        let [a, b, c] = [vendor(0), vendor(2), vendor(4)];
        format!("{a}:{b}:{c}:{d:02X}:{e:02X}:{f:02X}")
    }
}
