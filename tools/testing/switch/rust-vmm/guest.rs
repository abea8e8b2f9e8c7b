// SPDX-License-Identifier: GPL-2.0-only
//! What a guest has: memory, and a driver of split rings, as small as can be.

use std::error::Error;
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::ptr;
use std::rc::Rc;
use std::sync::atomic::{fence, Ordering};

use vhost::{VhostUserMemoryRegionInfo, VringConfigData};
use vmm_sys_util::eventfd::{EventFd, EFD_NONBLOCK};

pub type Outcome<T> = Result<T, Box<dyn Error>>;

pub const PAGE: u64 = 4096;
/// Descriptors of a ring, and its buffers, each of a page.
pub const NUM: u16 = 16;
/// A page each for descriptors, avail, used; then the buffers.
pub const RING_SIZE: u64 = (3 + NUM as u64) * PAGE;
/// Waits end so late.
pub const WAIT_MS: i32 = 10_000;
/// Waits for what must not come.
pub const QUIET_MS: i32 = 200;

const F_WRITE: u16 = 2;
const F_LOG: u32 = 1;

/// Memory of a file that the back-end maps too.
pub struct Memory {
    file: File,
    at: *mut u8,
    pub gpa: u64,
    pub size: u64,
}

impl Memory {
    pub fn new(name: &CStr, gpa: u64, size: u64) -> Outcome<Memory> {
        // SAFETY: the name ends with a NUL; the descriptor is this File's alone.
        let file = unsafe {
            let fd = libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC);
            if fd < 0 {
                return Err(io::Error::last_os_error().into());
            }
            File::from_raw_fd(fd)
        };
        file.set_len(size)?;
        // SAFETY: the kernel chooses the place, nothing else lies there.
        let at = unsafe {
            libc::mmap(
                ptr::null_mut(),
                size as usize,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error().into());
        }
        let at = at as *mut u8;
        Ok(Memory {
            file,
            at,
            gpa,
            size,
        })
    }

    pub fn fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    pub fn region(&self) -> VhostUserMemoryRegionInfo {
        VhostUserMemoryRegionInfo {
            guest_phys_addr: self.gpa,
            memory_size: self.size,
            userspace_addr: self.at as u64,
            mmap_offset: 0,
            mmap_handle: self.fd(),
        }
    }

    /// Where bytes at an offset are; the other side reads and writes there.
    fn place(&self, offset: u64, len: usize) -> *mut u8 {
        assert!(offset + len as u64 <= self.size);
        // SAFETY: it is within the mapping, as was just seen.
        unsafe { self.at.add(offset as usize) }
    }

    pub fn read(&self, offset: u64, len: usize) -> Vec<u8> {
        let from = self.place(offset, len);
        // SAFETY: `place` has checked the bounds.
        (0..len)
            .map(|i| unsafe { ptr::read_volatile(from.add(i)) })
            .collect()
    }

    pub fn write(&self, offset: u64, bytes: &[u8]) {
        let to = self.place(offset, bytes.len());
        for (i, byte) in bytes.iter().enumerate() {
            // SAFETY: `place` has checked the bounds.
            unsafe { ptr::write_volatile(to.add(i), *byte) };
        }
    }

    fn read_u16(&self, offset: u64) -> u16 {
        // SAFETY: `place` has checked the bounds, offsets of rings are even.
        unsafe { ptr::read_volatile(self.place(offset, 2) as *const u16) }
    }

    fn write_u16(&self, offset: u64, val: u16) {
        // SAFETY: as above.
        unsafe { ptr::write_volatile(self.place(offset, 2) as *mut u16, val) };
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: it is this mapping, and nobody has a pointer into it.
        unsafe { libc::munmap(self.at.cast(), self.size as usize) };
    }
}

/// A split ring, its areas and buffers at an offset of a memory.
pub struct Ring {
    pub mem: Rc<Memory>,
    pub at: u64,
    pub kick: EventFd,
    pub call: EventFd,
    pub err: EventFd,
    /// Buffers made available, and those that came back.
    pub avail: u16,
    pub used: u16,
}

impl Ring {
    pub fn new(mem: &Rc<Memory>, at: u64) -> Outcome<Ring> {
        Ok(Ring {
            mem: mem.clone(),
            at,
            kick: EventFd::new(EFD_NONBLOCK)?,
            call: EventFd::new(EFD_NONBLOCK)?,
            err: EventFd::new(EFD_NONBLOCK)?,
            avail: 0,
            used: 0,
        })
    }

    pub fn avail_at(&self) -> u64 {
        self.at + PAGE
    }

    pub fn used_at(&self) -> u64 {
        self.at + 2 * PAGE
    }

    pub fn buffer_at(&self, slot: u16) -> u64 {
        self.at + (3 + slot as u64) * PAGE
    }

    pub fn config(&self, is_logged: bool) -> VringConfigData {
        let uaddr = self.mem.region().userspace_addr;
        VringConfigData {
            queue_max_size: NUM,
            queue_size: NUM,
            flags: if is_logged { F_LOG } else { 0 },
            desc_table_addr: uaddr + self.at,
            used_ring_addr: uaddr + self.used_at(),
            avail_ring_addr: uaddr + self.avail_at(),
            log_addr: is_logged.then(|| self.mem.gpa + self.used_at()),
        }
    }

    /// A buffer at a guest address, for the device to read or to write.
    fn offer(&mut self, gpa: u64, len: u32, flags: u16) -> Outcome<()> {
        let slot = self.avail % NUM;
        let mut desc = Vec::from(gpa.to_ne_bytes());
        desc.extend(len.to_ne_bytes());
        desc.extend(flags.to_ne_bytes());
        desc.extend([0, 0]);
        self.mem.write(self.at + 16 * slot as u64, &desc);
        self.mem
            .write_u16(self.avail_at() + 4 + 2 * slot as u64, slot);
        self.avail = self.avail.wrapping_add(1);
        // pairs with the device, which reads the index first
        fence(Ordering::Release);
        self.mem.write_u16(self.avail_at() + 2, self.avail);
        Ok(self.kick.write(1)?)
    }

    pub fn offer_bytes(&mut self, bytes: &[u8]) -> Outcome<()> {
        let at = self.buffer_at(self.avail % NUM);
        self.mem.write(at, bytes);
        self.offer(self.mem.gpa + at, bytes.len() as u32, 0)
    }

    pub fn offer_space(&mut self) -> Outcome<()> {
        let at = self.buffer_at(self.avail % NUM);
        self.mem.write(at, &[0xee; PAGE as usize]);
        self.offer(self.mem.gpa + at, PAGE as u32, F_WRITE)
    }

    pub fn offer_space_in(&mut self, mem: &Memory) -> Outcome<()> {
        self.offer(mem.gpa, PAGE as u32, F_WRITE)
    }

    /// The next buffer that comes back: its slot and length, nothing if none does.
    pub fn take(&mut self, wait_ms: i32) -> Outcome<Option<(u16, usize)>> {
        while self.mem.read_u16(self.used_at() + 2) == self.used {
            if !is_readable(self.call.as_raw_fd(), wait_ms)? {
                return Ok(None);
            }
            self.call.read()?;
        }
        // pairs with the device, which writes the index last
        fence(Ordering::Acquire);
        let at = self.used_at() + 4 + 8 * (self.used % NUM) as u64;
        let entry = self.mem.read(at, 8);
        self.used = self.used.wrapping_add(1);
        Ok(Some((
            u16::from_ne_bytes([entry[0], entry[1]]),
            u32::from_ne_bytes([entry[4], entry[5], entry[6], entry[7]]) as usize,
        )))
    }
}

/// Whether a descriptor has something within a time.
pub fn is_readable(fd: RawFd, wait_ms: i32) -> Outcome<bool> {
    let mut one = libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one entry, which lives until the call returns.
    match unsafe { libc::poll(&mut one, 1, wait_ms) } {
        -1 => Err(io::Error::last_os_error().into()),
        ready => Ok(ready == 1),
    }
}
