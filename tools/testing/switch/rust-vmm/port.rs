// SPDX-License-Identifier: GPL-2.0-only
//! A front-end with its guest: one port of the switch.

use std::rc::Rc;
use std::time::{Duration, Instant};

use vhost::vhost_user::message::VhostUserHeaderFlag;
use vhost::vhost_user::{
    Frontend, VhostUserFrontend, VhostUserProtocolFeatures, VhostUserVirtioFeatures,
};
use vhost::{VhostBackend, VhostUserDirtyLogRegion};

use crate::guest::{Memory, Outcome, Ring, NUM, PAGE, RING_SIZE, WAIT_MS};

pub const RX: usize = 0;
pub const TX: usize = 1;
/// Of struct virtio_net_hdr_v1.
pub const HEADER: usize = 12;
pub const LOG_ALL: u64 = VhostUserVirtioFeatures::LOG_ALL.bits();

const MEMORY_GPA: u64 = 1 << 20;
const F_VERSION_1: u64 = 1 << 32;

pub struct Port {
    pub front: Frontend,
    pub mem: Rc<Memory>,
    pub rings: Vec<Ring>,
    pub mac: [u8; 6],
    pub features: u64,
    /// The ring of the last frame that came.
    pub last_rx: usize,
    needs_reply: bool,
}

impl Port {
    pub fn connect(path: &str, pairs: usize, mac: [u8; 6], needs_reply: bool) -> Outcome<Port> {
        let front = Frontend::connect(path, 2)?;
        front.set_owner()?;
        let mem = Rc::new(Memory::new(
            c"guest",
            MEMORY_GPA,
            2 * pairs as u64 * RING_SIZE,
        )?);
        let mut port = Port {
            front,
            mem,
            rings: vec![],
            mac,
            features: 0,
            last_rx: RX,
            needs_reply,
        };
        port.rings = (0..2 * pairs as u64)
            .map(|i| Ring::new(&port.mem, i * RING_SIZE))
            .collect::<Outcome<_>>()?;
        Ok(port)
    }

    pub fn negotiate(&mut self) -> Outcome<()> {
        let wanted = VhostUserProtocolFeatures::MQ
            | VhostUserProtocolFeatures::LOG_SHMFD
            | VhostUserProtocolFeatures::REPLY_ACK
            | VhostUserProtocolFeatures::RESET_DEVICE
            | VhostUserProtocolFeatures::CONFIGURE_MEM_SLOTS;
        self.features = F_VERSION_1 | VhostUserVirtioFeatures::PROTOCOL_FEATURES.bits();
        let missing = (self.features | LOG_ALL) & !self.front.get_features()?;
        if missing != 0 {
            return Err(format!("features {missing:x} are missing").into());
        }
        self.front.set_features(self.features)?;
        let missing = wanted.bits() & !self.front.get_protocol_features()?.bits();
        if missing != 0 {
            return Err(format!("protocol features {missing:x} are missing").into());
        }
        self.front.set_protocol_features(wanted)?;
        if self.needs_reply {
            self.front.set_hdr_flags(VhostUserHeaderFlag::NEED_REPLY);
        }
        Ok(())
    }

    /// A start: from where each ring is.
    pub fn set_rings(&mut self, is_logged: bool) -> Outcome<()> {
        for (index, ring) in self.rings.iter().enumerate() {
            self.front.set_vring_num(index, NUM)?;
            self.front.set_vring_addr(index, &ring.config(is_logged))?;
            self.front.set_vring_base(index, ring.used)?;
            self.front.set_vring_call(index, &ring.call)?;
            self.front.set_vring_kick(index, &ring.kick)?;
            self.front.set_vring_err(index, &ring.err)?;
        }
        Ok(())
    }

    /// Rings as new, for a device that is.
    pub fn renew_rings(&mut self) -> Outcome<()> {
        self.mem.write(0, &vec![0; self.mem.size as usize]);
        for ring in &mut self.rings {
            *ring = Ring::new(&self.mem, ring.at)?;
        }
        Ok(())
    }

    pub fn enable(&mut self, is_enabled: bool) -> Outcome<()> {
        for index in 0..self.rings.len() {
            self.front.set_vring_enable(index, is_enabled)?;
        }
        Ok(())
    }

    /// Space for so many frames in each ring.
    pub fn fill(&mut self, buffers: u16) -> Outcome<()> {
        for ring in self.rings.iter_mut().step_by(2) {
            while ring.avail.wrapping_sub(ring.used) < buffers {
                ring.offer_space()?;
            }
        }
        Ok(())
    }

    pub fn with_header(frame: &[u8]) -> Vec<u8> {
        [&[0; HEADER], frame].concat()
    }

    pub fn send(&mut self, pair: usize, frame: &[u8]) -> Outcome<()> {
        let ring = &mut self.rings[2 * pair + TX];
        ring.offer_bytes(&Self::with_header(frame))?;
        match ring.take(WAIT_MS)? {
            Some(_) => Ok(()),
            None => Err("what was sent did not come back".into()),
        }
    }

    /// The next frame of any ring, nothing if none comes. The switch chooses the
    /// ring by the sender.
    pub fn receive(&mut self, wait_ms: i32) -> Outcome<Option<Vec<u8>>> {
        let deadline = Instant::now() + Duration::from_millis(wait_ms as u64);
        loop {
            for index in (RX..self.rings.len()).step_by(2) {
                if let Some((slot, len)) = self.rings[index].take(1)? {
                    self.last_rx = index;
                    return Ok(Some(self.frame_of(index, slot, len)?));
                }
            }
            if Instant::now() > deadline {
                return Ok(None);
            }
        }
    }

    fn frame_of(&self, index: usize, slot: u16, len: usize) -> Outcome<Vec<u8>> {
        let ring = &self.rings[index];
        let bytes = self.mem.read(ring.buffer_at(slot), len);
        // the device owes a header all of 0, but for num_buffers
        if bytes.len() < HEADER || bytes[..HEADER] != [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0] {
            return Err(format!("a wrong header: {bytes:x?}").into());
        }
        Ok(bytes[HEADER..].to_vec())
    }

    /// A log of guest memory behind a page that is not of it.
    pub fn set_log(&mut self) -> Outcome<Memory> {
        let log = Memory::new(c"log", 0, 2 * PAGE)?;
        let region = VhostUserDirtyLogRegion {
            mmap_size: PAGE,
            mmap_offset: PAGE,
            mmap_handle: log.fd(),
        };
        self.front.set_log_base(0, Some(region))?;
        Ok(log)
    }
}
