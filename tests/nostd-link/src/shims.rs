//! What a program has to bring when it links neither `std` nor a C library: an entry, an exit, an
//! allocator, a panic handler and the few functions the compiler calls by name.

use core::alloc::{GlobalAlloc, Layout};
use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;
use core::panic::PanicInfo;
use core::ptr;

#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
compile_error!("the link test needs Linux on x86-64 or ARM64");

// The kernel enters here with an aligned stack and no return address.
#[cfg(target_arch = "x86_64")]
global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "call start_rust",
    "ud2"
);
#[cfg(target_arch = "aarch64")]
global_asm!(
    ".globl _start",
    "_start:",
    "mov x29, xzr",
    "bl start_rust",
    "brk #1"
);

#[unsafe(no_mangle)]
extern "C" fn start_rust() -> ! {
    exit(crate::run())
}

fn exit(status: u8) -> ! {
    // SAFETY: `exit_group` takes one integer and does not return.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        asm!("syscall", in("rax") 231, in("rdi") u64::from(status), options(noreturn));
        #[cfg(target_arch = "aarch64")]
        asm!("svc 0", in("x8") 94, in("x0") u64::from(status), options(noreturn));
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    exit(101)
}

/// Hands out one fixed block from front to back and takes nothing back.
struct Bump {
    block: UnsafeCell<[u8; Self::SIZE]>,
    used: UnsafeCell<usize>,
}

impl Bump {
    const SIZE: usize = 4 << 20;
}

// SAFETY: the program has one thread.
unsafe impl Sync for Bump {}

// SAFETY: every piece lies within the block, is aligned as asked for and handed out once.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let base = self.block.get().cast::<u8>();
        // SAFETY: one thread, and no reference to `used` outlives this statement.
        let used = unsafe { &mut *self.used.get() };
        let start = (base.addr() + *used).next_multiple_of(layout.align()) - base.addr();
        match start.checked_add(layout.size()) {
            Some(end) if end <= Self::SIZE => {
                *used = end;
                base.wrapping_add(start)
            }
            _ => ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: Bump = Bump {
    block: UnsafeCell::new([0; Bump::SIZE]),
    used: UnsafeCell::new(0),
};

// The compiler's own calls. Volatile, or it would turn each loop into a call of itself. For all of
// them: SAFETY is the caller's, as the C standard puts it.

#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    for i in 0..count {
        unsafe { to.add(i).write_volatile(from.add(i).read_volatile()) };
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    if to.addr() <= from.addr() {
        return unsafe { memcpy(to, from, count) };
    }
    for i in (0..count).rev() {
        unsafe { to.add(i).write_volatile(from.add(i).read_volatile()) };
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, count: usize) -> *mut u8 {
    let [byte, ..] = byte.to_le_bytes();
    for i in 0..count {
        unsafe { to.add(i).write_volatile(byte) };
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, count: usize) -> i32 {
    for i in 0..count {
        let (a, b) = unsafe { (a.add(i).read_volatile(), b.add(i).read_volatile()) };
        if a != b {
            return i32::from(a) - i32::from(b);
        }
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, count: usize) -> i32 {
    unsafe { memcmp(a, b, count) }
}

// The ready-made `core` and `alloc` were compiled to unwind; nothing here ever does.

#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    exit(102)
}
