//! The links of a world's devices: which node has them, how they come and go.

use super::{World, id, tenant};
use fleet::dispatch::{Command, Input};
use fleet::southbound::{Boot, Protocol};
use fleet::{Fact, Failure, Notice};

impl World {
    /// The nodes to which a device is linked.
    pub(super) fn nodes_of(&self, device: usize) -> Vec<usize> {
        let device = &self.devices[device];
        let links = self.stacks.iter().map(|over| device.side(*over).link);
        links.flatten().collect()
    }

    /// One of the protocols of a device, picked by the seed.
    fn stack(&mut self) -> Protocol {
        let stacks = self.stacks;
        stacks[self.random(stacks.len())]
    }

    /// The device connects over each of its protocols, to nodes that the seed picks.
    pub fn link(&mut self, device: usize) {
        for over in self.stacks {
            self.link_over(device, *over);
        }
    }

    /// It connects over one of them.
    pub fn link_one(&mut self, device: usize) {
        let over = self.stack();
        self.link_over(device, over);
    }

    fn link_over(&mut self, device: usize, over: Protocol) {
        if self.devices[device].side(over).link.is_some() {
            return;
        }
        let node = self.random(2);
        let side = self.devices[device].side_mut(over);
        side.link = Some(node);
        if let Some(key) = side.boot.take() {
            let cause = if key.is_empty() {
                "LocalReboot"
            } else {
                "RemoteReboot"
            };
            let boot = Boot {
                command_key: key,
                cause: cause.into(),
                over: Some(over),
                ..Boot::default()
            };
            side.say.push_back(Notice::Boot(boot));
        }
        self.tell(node, Input::Reachable(tenant(), id(device), over));
        self.said_all(device, over);
    }

    /// Where a side has nothing more to say in its session, that is told.
    pub(super) fn said_all(&mut self, device: usize, over: Protocol) {
        let side = self.devices[device].side(over);
        if let (Protocol::Cwmp, Some(node), true) = (over, side.link, side.say.is_empty()) {
            let at = self.now;
            self.tell(
                node,
                Input::Fact(tenant(), id(device), Fact::SaidAll { over, at }),
            );
        }
    }

    /// The device's links break.
    pub fn unlink(&mut self, device: usize) {
        for over in self.stacks {
            self.unlink_over(device, *over);
        }
    }

    /// One of them breaks.
    pub fn unlink_one(&mut self, device: usize) {
        let over = self.stack();
        self.unlink_over(device, over);
    }

    pub(super) fn unlink_over(&mut self, device: usize, over: Protocol) {
        if let Some(node) = self.devices[device].side_mut(over).link.take() {
            if self.luck.lost == 0 {
                self.turn_back(node, device, over);
            }
            let gone = Input::Unreachable(id(device), over, "gone".into());
            self.tell(node, gone);
        }
    }

    /// What is on its way to a link that ends is said to be unsent before its end is.
    fn turn_back(&mut self, node: usize, device: usize, over: Protocol) {
        let pending = std::mem::take(&mut self.pending[node]);
        let mut jobs = Vec::new();
        for command in pending {
            match command {
                Command::Submit {
                    device: of, job, ..
                } if of == id(device) && job.over == over => {
                    jobs.push(job.id);
                }
                other => self.pending[node].push_back(other),
            }
        }
        for job in jobs {
            let reason = "gone".to_owned();
            let result = Err(Failure::Unsent { reason });
            self.tell(
                node,
                Input::Fact(tenant(), id(device), Fact::Done { job, result }),
            );
        }
    }
}
