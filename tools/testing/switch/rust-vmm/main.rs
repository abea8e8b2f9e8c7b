// SPDX-License-Identifier: GPL-2.0-only
//! Two front-ends of rust-vmm's vhost crate on two ports of a switch: KTAP on stdout.
//!
//! usage: rust-vmm SOCKET SOCKET
//!
//! The first port has two queue pairs. Its front-end sets NEED_REPLY in all that it
//! says, as cloud-hypervisor does; the second one's does so in nothing.

mod guest;
mod port;

use std::error::Error;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use vhost::vhost_user::VhostUserFrontend;
use vhost::VhostBackend;

use guest::{Memory, Outcome, NUM, PAGE, QUIET_MS, WAIT_MS};
use port::{Port, RX, TX};

/// A crate that waits for an answer waits without an end.
const LIMIT_SECS: u32 = 60;

const PAIRS: usize = 2;
const BROADCAST: [u8; 6] = [0xff; 6];

fn ensure(is_so: bool, what: String) -> Outcome<()> {
    is_so.then_some(()).ok_or_else(|| what.into())
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, found: T, wanted: T) -> Outcome<()> {
    ensure(
        found == wanted,
        format!("{what}: {found:x?}, not {wanted:x?}"),
    )
}

/// A frame that differs from others by its seed.
fn frame(to: &[u8; 6], from: &[u8; 6], len: usize, seed: u8) -> Vec<u8> {
    let mut bytes = [&to[..], &from[..], &[0x88, 0xb5]].concat();
    bytes.extend((bytes.len()..len).map(|i| (i as u8).wrapping_mul(7) ^ seed));
    bytes
}

struct Bench {
    paths: [String; 2],
    a: Port,
    b: Port,
    /// What A has besides for a while.
    more: Option<Rc<Memory>>,
    log: Option<Memory>,
}

impl Bench {
    fn new(paths: [String; 2]) -> Outcome<Bench> {
        let a = Port::connect(&paths[0], PAIRS, [2, 0, 0, 0, 0, 0xa], true)?;
        let b = Port::connect(&paths[1], 1, [2, 0, 0, 0, 0, 0xb], false)?;
        Ok(Bench {
            paths,
            a,
            b,
            more: None,
            log: None,
        })
    }

    // -- from nothing to frames ---------------------------------------------------

    fn features(&mut self) -> Outcome<()> {
        self.a.negotiate()?;
        self.b.negotiate()
    }

    /// The crate refuses rings beyond the number itself.
    fn queue_num(&mut self) -> Outcome<()> {
        equal("of the first port", self.a.front.get_queue_num()?, 4)?;
        equal("of the second port", self.b.front.get_queue_num()?, 2)
    }

    fn mem_table(&mut self) -> Outcome<()> {
        self.a.front.set_mem_table(&[self.a.mem.region()])?;
        Ok(self.b.front.set_mem_table(&[self.b.mem.region()])?)
    }

    /// What is refused is said, and the connection goes on.
    fn wrong_refused(&mut self) -> Outcome<()> {
        let mut config = self.a.rings[RX].config(false);
        config.desc_table_addr += 1;
        let is_refused = [
            self.a.front.set_vring_num(RX, 0).is_err(),
            self.a.front.set_vring_addr(RX, &config).is_err(),
        ];
        equal("refused", is_refused, [true; 2])
    }

    fn rings(&mut self) -> Outcome<()> {
        self.a.set_rings(false)?;
        self.b.set_rings(false)
    }

    fn enabled(&mut self) -> Outcome<()> {
        self.a.enable(true)?;
        self.b.enable(true)?;
        self.a.fill(4)?;
        self.b.fill(4)
    }

    // -- frames -------------------------------------------------------------------

    /// From pair of A to B.
    fn pass_to_b(&mut self, pair: usize, len: usize, seed: u8) -> Outcome<()> {
        self.b.fill(4)?;
        let data = frame(&self.b.mac, &self.a.mac, len, seed);
        self.a.send(pair, &data)?;
        equal("at the second port", self.b.receive(WAIT_MS)?, Some(data))
    }

    fn pass_to_a(&mut self, len: usize, seed: u8) -> Outcome<()> {
        self.a.fill(4)?;
        self.use_up_to_a(len, seed)
    }

    /// The buffer is not made good.
    fn use_up_to_a(&mut self, len: usize, seed: u8) -> Outcome<()> {
        let data = frame(&self.a.mac, &self.b.mac, len, seed);
        self.b.send(0, &data)?;
        equal("at the first port", self.a.receive(WAIT_MS)?, Some(data))
    }

    fn one_frame(&mut self) -> Outcome<()> {
        let data = frame(&BROADCAST, &self.a.mac, 60, 1);
        self.a.send(0, &data)?;
        equal("at the second port", self.b.receive(WAIT_MS)?, Some(data))
    }

    /// Laps of the rings, of all lengths.
    fn both_ways(&mut self) -> Outcome<()> {
        for i in 0..4 * NUM as usize {
            let len = 60 + i * (1514 - 60) / (4 * NUM as usize - 1);
            self.pass_to_a(len, i as u8)?;
            self.pass_to_b(0, len, !i as u8)?;
        }
        Ok(())
    }

    fn second_pair(&mut self) -> Outcome<()> {
        for i in 0..2 * NUM as u8 {
            self.pass_to_b(1, 100, i)?;
        }
        Ok(())
    }

    fn disabled(&mut self) -> Outcome<()> {
        self.a.front.set_vring_enable(TX, false)?;
        let data = frame(&self.b.mac, &self.a.mac, 60, 2);
        // taken and thrown away, as the protocol has it, or left there
        self.a.rings[TX].offer_bytes(&Port::with_header(&data))?;
        let is_taken = self.a.rings[TX].take(QUIET_MS)?.is_some();
        equal("of a disabled ring", self.b.receive(QUIET_MS)?, None)?;
        self.a.front.set_vring_enable(TX, true)?;
        if !is_taken {
            let got = self.b.receive(WAIT_MS)?;
            equal("after it", got, Some(data))?;
            self.a.rings[TX].take(WAIT_MS)?;
        }
        self.pass_to_b(0, 60, 3)
    }

    // -- memory -------------------------------------------------------------------

    fn region_added(&mut self) -> Outcome<()> {
        let slots = self.a.front.get_max_mem_slots()?;
        ensure(slots >= 32, format!("{slots} slots"))?;
        let more = Rc::new(Memory::new(c"more", 1 << 32, 16 * PAGE)?);
        self.a.front.add_mem_region(&more.region())?;
        // behind those that are there already
        self.pass_to_a(60, 4)?;
        let rx = self.a.last_rx;
        while self.a.rings[rx].avail != self.a.rings[rx].used {
            self.use_up_to_a(60, 4)?;
        }
        self.a.rings[rx].offer_space_in(&more)?;
        let data = frame(&self.a.mac, &self.b.mac, 900, 5);
        self.b.send(0, &data)?;
        let back = self.a.rings[rx].take(WAIT_MS)?;
        equal(
            "length",
            back.map(|(_, len)| len),
            Some(data.len() + port::HEADER),
        )?;
        equal("there", more.read(port::HEADER as u64, data.len()), data)?;
        self.more = Some(more);
        self.a.fill(4)
    }

    fn region_removed(&mut self) -> Outcome<()> {
        let more = self.more.take().ok_or("there is none")?;
        self.a.front.remove_mem_region(&more.region())?;
        self.pass_to_a(60, 6)?;
        self.pass_to_b(0, 60, 6)
    }

    // -- the log ------------------------------------------------------------------

    fn log_base(&mut self) -> Outcome<()> {
        self.log = Some(self.a.set_log()?);
        // in step with the other side still
        equal("rings", self.a.front.get_queue_num()?, 4)
    }

    fn logged_features(&mut self) -> Outcome<()> {
        self.a.front.set_features(self.a.features | port::LOG_ALL)?;
        for index in 0..self.a.rings.len() {
            let config = self.a.rings[index].config(true);
            self.a.front.set_vring_addr(index, &config)?;
        }
        Ok(())
    }

    /// Pages of A's memory that are dirty in the log, in order.
    fn dirty(&self) -> Outcome<Vec<u64>> {
        let log = self.log.as_ref().ok_or("there is no log")?;
        let bytes = log.read(PAGE, PAGE as usize);
        Ok((0..8 * PAGE)
            .filter(|page| bytes[*page as usize / 8] >> (page % 8) & 1 != 0)
            .collect())
    }

    /// These pages get dirty. Of others those alone where the device says whether it
    /// wants kicks, which is in the used area.
    fn dirty_are(&self, offsets: &[u64]) -> Outcome<()> {
        let page = |at: &u64| (self.a.mem.gpa + at) / PAGE;
        let flags: Vec<u64> = self
            .a
            .rings
            .iter()
            .map(|ring| page(&ring.used_at()))
            .collect();
        let wanted: Vec<u64> = offsets.iter().map(page).collect();
        let deadline = Instant::now() + Duration::from_millis(WAIT_MS as u64);
        let mut found = self.dirty()?;
        while !wanted.iter().all(|page| found.contains(page)) && Instant::now() < deadline {
            std::thread::yield_now();
            found = self.dirty()?;
        }
        let log = self.log.as_ref().ok_or("there is no log")?;
        log.write(PAGE, &[0; PAGE as usize]);
        equal(
            "beside the log",
            log.read(0, PAGE as usize),
            vec![0; PAGE as usize],
        )?;
        found.retain(|page| wanted.contains(page) || !flags.contains(page));
        found.sort_by_key(|page| wanted.iter().position(|other| other == page));
        equal("dirty pages", found, wanted)
    }

    fn dirty_pages(&mut self) -> Outcome<()> {
        let slots: Vec<u16> = self.a.rings.iter().map(|ring| ring.used % NUM).collect();
        self.pass_to_a(60, 7)?;
        let slot = slots[self.a.last_rx];
        let rx = &self.a.rings[self.a.last_rx];
        self.dirty_are(&[rx.used_at(), rx.buffer_at(slot)])?;
        self.pass_to_b(0, 60, 8)?;
        self.dirty_are(&[self.a.rings[TX].used_at()])
    }

    // -- to the end ---------------------------------------------------------------

    fn vring_base(&mut self) -> Outcome<()> {
        for (index, ring) in self.a.rings.iter().enumerate() {
            // what is there for frames to come is left
            let base = self.a.front.get_vring_base(index)?;
            equal(&format!("of ring {index}"), base as u16, ring.used)?;
        }
        let data = frame(&self.b.mac, &self.a.mac, 60, 9);
        self.a.rings[TX].offer_bytes(&Port::with_header(&data))?;
        equal(
            "from a ring that is stopped",
            self.a.rings[TX].take(QUIET_MS)?,
            None,
        )?;
        equal("at the second port", self.b.receive(QUIET_MS)?, None)
    }

    /// What was left is taken first.
    fn started_again(&mut self) -> Outcome<()> {
        self.a.front.set_features(self.a.features)?;
        self.a.set_rings(false)?;
        self.a.enable(true)?;
        let left = frame(&self.b.mac, &self.a.mac, 60, 9);
        equal("what was left", self.b.receive(WAIT_MS)?, Some(left))?;
        self.a.rings[TX].take(WAIT_MS)?;
        self.pass_to_a(60, 10)?;
        self.pass_to_b(0, 60, 11)
    }

    fn reset(&mut self) -> Outcome<()> {
        self.a.front.reset_device()?;
        self.a.renew_rings()?;
        self.a.front.set_features(self.a.features)?;
        self.a.front.set_mem_table(&[self.a.mem.region()])?;
        self.a.set_rings(false)?;
        self.a.enable(true)?;
        self.a.fill(4)?;
        self.pass_to_a(60, 12)?;
        self.pass_to_b(1, 60, 13)
    }

    /// One that went without a word, and another one in its place.
    fn connected_again(&mut self) -> Outcome<()> {
        self.a = Port::connect(&self.paths[0], PAIRS, self.a.mac, true)?;
        self.a.negotiate()?;
        self.a.front.get_queue_num()?;
        self.a.front.add_mem_region(&self.a.mem.region())?;
        self.a.set_rings(false)?;
        self.a.enable(true)?;
        self.a.fill(4)?;
        self.pass_to_b(0, 60, 14)?;
        self.pass_to_a(60, 15)
    }

    fn no_errors(&mut self) -> Outcome<()> {
        for ring in self.a.rings.iter().chain(&self.b.rings) {
            ensure(ring.err.read().is_err(), "a ring's error was told".into())?;
        }
        Ok(())
    }
}

type Case = (&'static str, fn(&mut Bench) -> Outcome<()>);

const CASES: &[Case] = &[
    ("features_negotiated_ok", Bench::features),
    ("queue_num_is_of_rings_ok", Bench::queue_num),
    ("mem_table_ok", Bench::mem_table),
    ("wrong_requests_refused", Bench::wrong_refused),
    ("rings_set_ok", Bench::rings),
    ("rings_enabled_ok", Bench::enabled),
    ("one_frame_ok", Bench::one_frame),
    ("frames_both_ways_ok", Bench::both_ways),
    ("second_pair_ok", Bench::second_pair),
    ("disabled_ring_is_quiet_ok", Bench::disabled),
    ("mem_region_added_ok", Bench::region_added),
    ("mem_region_removed_ok", Bench::region_removed),
    ("log_base_answered_ok", Bench::log_base),
    ("log_features_while_running_ok", Bench::logged_features),
    ("pages_dirty_in_log_ok", Bench::dirty_pages),
    ("vring_base_stops_ok", Bench::vring_base),
    ("started_again_ok", Bench::started_again),
    ("reset_device_ok", Bench::reset),
    ("connected_again_ok", Bench::connected_again),
    ("no_ring_failed_ok", Bench::no_errors),
];

fn run() -> Result<bool, Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(a), Some(b), None) = (args.next(), args.next(), args.next()) else {
        return Err("usage: rust-vmm SOCKET SOCKET".into());
    };
    println!("KTAP version 1\n1..{}", CASES.len());
    let mut bench = Bench::new([a, b])?;
    let mut is_good = true;
    for (i, (name, case)) in CASES.iter().enumerate() {
        // SAFETY: nothing else uses the alarm.
        unsafe { libc::alarm(LIMIT_SECS) };
        let result = case(&mut bench);
        if let Err(why) = &result {
            println!("# {name}: {why}");
        }
        is_good &= result.is_ok();
        println!(
            "{} {} rust.{name}",
            if result.is_ok() { "ok" } else { "not ok" },
            i + 1
        );
    }
    Ok(is_good)
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            println!("Bail out! {why}");
            ExitCode::FAILURE
        }
    }
}
