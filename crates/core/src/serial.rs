//! Serial lines: opens a device itself, with no `stty` or `cat` in between, and sets it up so that every byte passes as
//! it is.
//!
//! A line that has vanished (a USB adapter pulled out, the other end of a pty closed) is an end with a reason; see
//! [`Serial::read`].
//!
//! The device is opened without waiting for a carrier, without making it the controlling terminal, non-blocking and
//! closed on exec, and its modem lines are ignored (CLOCAL): many lines have no such wires. How it was set up before is
//! not restored at the end.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::sys::termios::{self, BaudRate, ControlFlags, InputFlags, Termios};

use crate::terminal::{self, DeviceError};

/// How many bits make a character.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum DataBits {
    Five,
    Six,
    Seven,
    #[default]
    Eight,
}

/// What the bit after a character is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Parity {
    /// There is none.
    #[default]
    None,
    /// It makes the number of ones even.
    Even,
    /// It makes the number of ones odd.
    Odd,
}

/// How long the line pauses after a character.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StopBits {
    /// For one bit.
    #[default]
    One,
    /// For two bits.
    Two,
}

/// How an end that cannot keep up slows the other one down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlowControl {
    /// Not at all.
    #[default]
    None,
    /// By the characters XOFF and XON (Ctrl-S and Ctrl-Q), which can then not be sent as data.
    Software,
    /// By the wires RTS and CTS.
    Hardware,
}

/// How to set up a line. The default is what nearly all consoles use: 115200 8N1, no flow control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineSettings {
    /// Bits per second, both ways. Any number; [`Serial::open`] fails for one that the device cannot do.
    pub speed: u32,
    /// The number of bits in a character.
    pub data_bits: DataBits,
    /// The check bit after them.
    pub parity: Parity,
    /// The pause after that.
    pub stop_bits: StopBits,
    /// How the other end is slowed down.
    pub flow_control: FlowControl,
    /// Whether to keep others from opening the device (TIOCEXCL; root may still) and to refuse it if another Phalanx,
    /// or any other program that locks it with flock(2), has it.
    pub exclusive: bool,
}

impl LineSettings {
    /// Returns the default settings at this speed.
    #[must_use]
    pub fn at(speed: u32) -> Self {
        Self {
            speed,
            data_bits: DataBits::default(),
            parity: Parity::default(),
            stop_bits: StopBits::default(),
            flow_control: FlowControl::default(),
            exclusive: true,
        }
    }
}

impl Default for LineSettings {
    fn default() -> Self {
        Self::at(115_200)
    }
}

/// An open serial line.
#[derive(Debug)]
pub struct Serial {
    file: DeviceFile,
    device: PathBuf,
}

#[derive(Debug)]
enum DeviceFile {
    Shared(File),
    Locked(Flock<File>),
}

impl Serial {
    /// Opens and sets up a device.
    ///
    /// # Errors
    ///
    /// When there is no such device, it may not be opened, it is no terminal, another program has it, or it did not
    /// take all of the settings: a line at the wrong speed would deliver garbage and say nothing.
    pub fn open(device: impl AsRef<Path>, settings: &LineSettings) -> Result<Self, DeviceError> {
        let device = device.as_ref();
        let flags = OFlag::O_NOCTTY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = File::options()
            .read(true)
            .write(true)
            .custom_flags(flags.bits())
            .open(device)
            .map_err(|error| DeviceError::new("open the serial device", device, error))?;
        let file = if settings.exclusive { reserve(file, device)? } else { DeviceFile::Shared(file) };
        let serial = Self { file, device: device.to_owned() };
        serial.set(settings)?;
        Ok(serial)
    }

    /// Returns the path by which the device was opened.
    #[must_use]
    pub fn device(&self) -> &Path {
        &self.device
    }

    /// Sets up the line again: all but [`LineSettings::exclusive`], which is decided when it is opened.
    ///
    /// # Errors
    ///
    /// When the device did not take all of the settings.
    pub fn set(&self, settings: &LineSettings) -> Result<(), DeviceError> {
        let standard = standard_speed(settings.speed);
        let taken = terminal::change(self, |attributes| {
            apply(attributes, settings);
            // A placeholder for any other speed, which termios(3) cannot name.
            let _ = termios::cfsetspeed(attributes, standard.unwrap_or(BaudRate::B38400));
        });
        if let Err(error) = taken {
            // glibc looks at the result itself, and finds no better word than EINVAL.
            let refusal = if error == Errno::EINVAL { self.verify(settings).err() } else { None };
            return Err(refusal.unwrap_or_else(|| DeviceError::new("set up the serial device", &self.device, error)));
        }
        if standard.is_none() {
            speed::set(self, settings.speed).map_err(|error| self.speed_error(settings.speed, error))?;
        }
        self.verify(settings)
    }

    /// Checks that the device has taken all settings: tcsetattr(3) succeeds if it could make any of the changes.
    fn verify(&self, settings: &LineSettings) -> Result<(), DeviceError> {
        let refused = |error: io::Error| DeviceError::new("set up the serial device", &self.device, error);
        let actual = termios::tcgetattr(self).map_err(|error| refused(error.into()))?;
        let refusals = refusals(&actual, settings);
        if !refusals.is_empty() {
            let message = format!("it does not take {}", refusals.join(", "));
            return Err(refused(io::Error::new(ErrorKind::Unsupported, message)));
        }
        let actual = speed::get(self).map_err(|error| self.speed_error(settings.speed, error))?;
        // A divisor of the device's clock is rarely exact; beyond some percent characters are lost.
        if actual.abs_diff(settings.speed) > settings.speed / 33 {
            let message = format!("it runs at {actual} instead");
            return Err(self.speed_error(settings.speed, io::Error::new(ErrorKind::Unsupported, message)));
        }
        Ok(())
    }

    fn speed_error(&self, speed: u32, error: impl Into<io::Error>) -> DeviceError {
        DeviceError::new(format!("set the speed to {speed} on the serial device"), &self.device, error)
    }

    /// Returns the speed of the line, in bits per second.
    ///
    /// # Errors
    ///
    /// When the device has vanished.
    pub fn speed(&self) -> Result<u32, DeviceError> {
        speed::get(self)
            .map_err(|error| DeviceError::new("ask for the speed of the serial device", &self.device, error))
    }

    /// Reads what has arrived.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when nothing has; `UnexpectedEof` when the line has vanished, with a message that says so; others
    /// as read(2). Never 0 bytes for a buffer that is not empty.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match nix::unistd::read(self, buffer) {
            Ok(0) if !buffer.is_empty() => Err(self.vanished("it hung up")),
            Err(error @ (Errno::EIO | Errno::ENXIO | Errno::ENODEV)) => Err(self.vanished(error.desc())),
            result => Ok(result?),
        }
    }

    /// Writes as much as the line takes now.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when that is nothing; `UnexpectedEof` when the line has vanished; others as write(2).
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match nix::unistd::write(self, bytes) {
            Err(error @ (Errno::EIO | Errno::ENXIO | Errno::ENODEV)) => Err(self.vanished(error.desc())),
            result => Ok(result?),
        }
    }

    /// Holds the line in the break condition for a quarter to half a second: what a console server calls for attention,
    /// and what Linux takes for SysRq.
    ///
    /// # Errors
    ///
    /// When the device cannot, or has vanished.
    pub fn send_break(&self) -> Result<(), DeviceError> {
        termios::tcsendbreak(self, 0)
            .map_err(|error| DeviceError::new("send a break on the serial device", &self.device, error))
    }

    /// Discards what has arrived and was not read, and what was written and not sent.
    ///
    /// # Errors
    ///
    /// When the device has vanished.
    pub fn discard(&self) -> Result<(), DeviceError> {
        termios::tcflush(self, termios::FlushArg::TCIOFLUSH)
            .map_err(|error| DeviceError::new("empty the buffers of the serial device", &self.device, error))
    }

    fn vanished(&self, reason: &str) -> io::Error {
        io::Error::new(
            ErrorKind::UnexpectedEof,
            format!("the serial device {} has vanished: {reason}", self.device.display()),
        )
    }
}

impl AsFd for Serial {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.file {
            DeviceFile::Shared(file) => file.as_fd(),
            DeviceFile::Locked(lock) => lock.as_fd(),
        }
    }
}

/// Keeps others out. Two means, since neither is enough: root walks past TIOCEXCL, and few programs ask for the lock.
fn reserve(file: File, device: &Path) -> Result<DeviceFile, DeviceError> {
    let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock)
        .map_err(|(_, error)| DeviceError::new("reserve the serial device", device, error))?;
    speed::exclude(&*lock).map_err(|error| DeviceError::new("reserve the serial device", device, error))?;
    Ok(DeviceFile::Locked(lock))
}

/// Sets everything but the speed.
fn apply(attributes: &mut Termios, settings: &LineSettings) {
    terminal::make_raw(attributes);
    let size = match settings.data_bits {
        DataBits::Five => ControlFlags::CS5,
        DataBits::Six => ControlFlags::CS6,
        DataBits::Seven => ControlFlags::CS7,
        DataBits::Eight => ControlFlags::CS8,
    };
    let control = &mut attributes.control_flags;
    control.remove(ControlFlags::CSIZE);
    control.insert(size | ControlFlags::CREAD | ControlFlags::CLOCAL | ControlFlags::HUPCL);
    control.set(ControlFlags::PARENB, settings.parity != Parity::None);
    control.set(ControlFlags::PARODD, settings.parity == Parity::Odd);
    control.set(ControlFlags::CSTOPB, settings.stop_bits == StopBits::Two);
    control.set(ControlFlags::CRTSCTS, settings.flow_control == FlowControl::Hardware);
    let input = &mut attributes.input_flags;
    input.remove(InputFlags::IXANY | InputFlags::INPCK);
    input.set(InputFlags::IXON | InputFlags::IXOFF, settings.flow_control == FlowControl::Software);
}

/// Returns the settings that a device did not take, in words.
fn refusals(actual: &Termios, settings: &LineSettings) -> Vec<String> {
    let mut wanted = actual.clone();
    apply(&mut wanted, settings);
    let control = actual.control_flags ^ wanted.control_flags;
    let input = actual.input_flags ^ wanted.input_flags;
    let table = [
        (control.intersects(ControlFlags::CSIZE), format!("{:?} data bits", settings.data_bits)),
        (control.intersects(ControlFlags::PARENB | ControlFlags::PARODD), format!("{:?} parity", settings.parity)),
        (control.intersects(ControlFlags::CSTOPB), format!("{:?} stop bits", settings.stop_bits)),
        (control.intersects(ControlFlags::CRTSCTS), format!("{:?} flow control", settings.flow_control)),
        (input.intersects(InputFlags::IXON | InputFlags::IXOFF), format!("{:?} flow control", settings.flow_control)),
        (actual.local_flags != wanted.local_flags, "raw mode".to_owned()),
    ];
    table.into_iter().filter(|(refused, _)| *refused).map(|(_, name)| name.to_lowercase()).collect()
}

/// Returns termios's name for a speed, if it has one.
fn standard_speed(speed: u32) -> Option<BaudRate> {
    Some(match speed {
        50 => BaudRate::B50,
        75 => BaudRate::B75,
        110 => BaudRate::B110,
        134 => BaudRate::B134,
        150 => BaudRate::B150,
        200 => BaudRate::B200,
        300 => BaudRate::B300,
        600 => BaudRate::B600,
        1_200 => BaudRate::B1200,
        1_800 => BaudRate::B1800,
        2_400 => BaudRate::B2400,
        4_800 => BaudRate::B4800,
        9_600 => BaudRate::B9600,
        19_200 => BaudRate::B19200,
        38_400 => BaudRate::B38400,
        57_600 => BaudRate::B57600,
        115_200 => BaudRate::B115200,
        230_400 => BaudRate::B230400,
        #[cfg(target_os = "linux")]
        460_800 => BaudRate::B460800,
        #[cfg(target_os = "linux")]
        500_000 => BaudRate::B500000,
        #[cfg(target_os = "linux")]
        921_600 => BaudRate::B921600,
        #[cfg(target_os = "linux")]
        1_000_000 => BaudRate::B1000000,
        #[cfg(target_os = "linux")]
        1_500_000 => BaudRate::B1500000,
        #[cfg(target_os = "linux")]
        2_000_000 => BaudRate::B2000000,
        #[cfg(target_os = "linux")]
        3_000_000 => BaudRate::B3000000,
        #[cfg(target_os = "linux")]
        4_000_000 => BaudRate::B4000000,
        _ => return None,
    })
}

/// Speeds that have no name, and the one other request that nix lacks.
mod speed {
    #![expect(unsafe_code, reason = "ioctl(2) has no types")]

    use std::os::fd::{AsFd, AsRawFd};

    use nix::Result;

    nix::ioctl_none_bad!(tiocexcl, nix::libc::TIOCEXCL);

    /// Keeps others from opening the device.
    pub(super) fn exclude(device: impl AsFd) -> Result<()> {
        // SAFETY: the descriptor is open, and TIOCEXCL takes no argument (tty_ioctl(4)).
        unsafe { tiocexcl(device.as_fd().as_raw_fd()) }.map(drop)
    }

    #[cfg(target_os = "linux")]
    mod imp {
        use super::{AsFd, AsRawFd, Result};
        use nix::libc::{BOTHER, CBAUD, TCGETS2, TCSETS2, termios2};

        // Linux keeps any speed in termios2, which glibc hides; see tty_ioctl(4).
        nix::ioctl_read_bad!(tcgets2, TCGETS2, termios2);
        nix::ioctl_write_ptr_bad!(tcsets2, TCSETS2, termios2);

        fn attributes(device: &impl AsFd) -> Result<termios2> {
            let mut attributes = std::mem::MaybeUninit::zeroed();
            // SAFETY: the descriptor is open, and TCGETS2 writes one termios2, for which there is room.
            unsafe { tcgets2(device.as_fd().as_raw_fd(), attributes.as_mut_ptr()) }?;
            // SAFETY: a termios2 is a record of integers, all of which were zeroed and some written since.
            Ok(unsafe { attributes.assume_init() })
        }

        pub(in super::super) fn set(device: impl AsFd, speed: u32) -> Result<()> {
            let mut attributes = attributes(&device)?;
            attributes.c_cflag = attributes.c_cflag & !CBAUD | BOTHER;
            attributes.c_ispeed = speed;
            attributes.c_ospeed = speed;
            // SAFETY: the descriptor is open, and TCSETS2 reads one termios2, which `attributes` is for the time of the
            // call.
            unsafe { tcsets2(device.as_fd().as_raw_fd(), &raw const attributes) }.map(drop)
        }

        pub(in super::super) fn get(device: impl AsFd) -> Result<u32> {
            attributes(&device).map(|attributes| attributes.c_ospeed)
        }
    }

    #[cfg(not(target_os = "linux"))]
    mod imp {
        use super::{AsFd, Result};
        use nix::sys::termios::{SetArg, cfgetospeed, cfsetspeed, tcgetattr, tcsetattr};

        // Elsewhere a speed is its own name.
        pub(in super::super) fn set(device: impl AsFd, speed: u32) -> Result<()> {
            let mut attributes = tcgetattr(&device)?;
            cfsetspeed(&mut attributes, speed)?;
            tcsetattr(&device, SetArg::TCSANOW, &attributes)
        }

        pub(in super::super) fn get(device: impl AsFd) -> Result<u32> {
            tcgetattr(&device).map(|attributes| cfgetospeed(&attributes) as u32)
        }
    }

    pub(super) use imp::{get, set};
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pty::{self, Mode, Pty};
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use nix::sys::termios::{LocalFlags, OutputFlags, SpecialCharacterIndices, tcgetattr};

    /// Returns a line whose other end is the master of a pty. A pty has attributes like a line, and no bits to send.
    fn line(settings: &LineSettings) -> (Pty, Serial) {
        let pty = Pty::open(&pty::TerminalSettings { mode: Mode::Cooked, ..pty::TerminalSettings::default() })
            .expect("a pty");
        let serial = Serial::open(pty.slave(), settings).expect("a terminal");
        (pty, serial)
    }

    fn wait(line: impl AsFd) {
        poll(&mut [PollFd::new(line.as_fd(), PollFlags::POLLIN)], PollTimeout::from(10_000_u16)).expect("poll");
    }

    #[test]
    fn every_byte_passes_as_it_is_both_ways() {
        let (far, serial) = line(&LineSettings::default());
        let all: Vec<u8> = (0..=255).collect();
        let mut there = [0; 300];
        assert_eq!(serial.write(&all).expect("room"), 256);
        wait(&far);
        assert_eq!(pty::read(&far, &mut there).expect("readable"), 256);
        assert_eq!(there[..256], all);
        assert_eq!(nix::unistd::write(&far, &all), Ok(256));
        wait(&serial);
        assert_eq!(serial.read(&mut there).expect("readable"), 256);
        assert_eq!(there[..256], all);
    }

    #[test]
    fn a_silent_line_would_block_and_is_not_at_its_end() {
        let (_far, serial) = line(&LineSettings::default());
        assert_eq!(serial.read(&mut [0; 10]).expect_err("nothing has arrived").kind(), ErrorKind::WouldBlock);
    }

    #[test]
    fn the_line_is_raw_ignores_modem_wires_and_blocks_for_one_byte() {
        let (_far, serial) = line(&LineSettings::default());
        let attributes = tcgetattr(&serial).expect("a terminal");
        let cooked = LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG | LocalFlags::IEXTEN;
        assert!(!attributes.local_flags.intersects(cooked) && !attributes.output_flags.contains(OutputFlags::OPOST));
        assert!(attributes.control_flags.contains(ControlFlags::CLOCAL | ControlFlags::CREAD | ControlFlags::CS8));
        assert_eq!(attributes.control_chars[SpecialCharacterIndices::VMIN as usize], 1);
        assert_eq!(attributes.control_chars[SpecialCharacterIndices::VTIME as usize], 0);
    }

    #[test]
    fn any_speed_can_be_set_and_changed() {
        let (_far, serial) = line(&LineSettings::at(9_600));
        assert_eq!(serial.speed().expect("a terminal"), 9_600);
        for speed in [300, 115_200, 250_000, 1_500_000, 74_880, 4_000_000, 12_345] {
            serial.set(&LineSettings::at(speed)).expect("a pty takes any speed");
            assert_eq!(serial.speed().expect("a terminal"), speed);
        }
    }

    #[test]
    fn all_settings_become_attributes() {
        let (far, _serial) = line(&LineSettings::default());
        let blank = tcgetattr(&far).expect("a terminal");
        let flags = |settings: LineSettings| {
            let mut attributes = blank.clone();
            apply(&mut attributes, &settings);
            let control = ControlFlags::CSIZE
                | ControlFlags::PARENB
                | ControlFlags::PARODD
                | ControlFlags::CSTOPB
                | ControlFlags::CRTSCTS;
            (
                attributes.control_flags & control,
                attributes.input_flags & (InputFlags::IXON | InputFlags::IXOFF | InputFlags::IXANY),
            )
        };
        let base = LineSettings::default();
        assert_eq!(flags(base), (ControlFlags::CS8, InputFlags::empty()));
        for (data_bits, size) in [
            (DataBits::Five, ControlFlags::CS5),
            (DataBits::Six, ControlFlags::CS6),
            (DataBits::Seven, ControlFlags::CS7),
        ] {
            assert_eq!(flags(LineSettings { data_bits, ..base }).0, size);
        }
        assert_eq!(flags(LineSettings { parity: Parity::Even, ..base }).0, ControlFlags::CS8 | ControlFlags::PARENB);
        assert_eq!(
            flags(LineSettings { parity: Parity::Odd, ..base }).0,
            ControlFlags::CS8 | ControlFlags::PARENB | ControlFlags::PARODD
        );
        assert_eq!(
            flags(LineSettings { stop_bits: StopBits::Two, ..base }).0,
            ControlFlags::CS8 | ControlFlags::CSTOPB
        );
        assert_eq!(
            flags(LineSettings { flow_control: FlowControl::Hardware, ..base }).0,
            ControlFlags::CS8 | ControlFlags::CRTSCTS
        );
        assert_eq!(
            flags(LineSettings { flow_control: FlowControl::Software, ..base }).1,
            InputFlags::IXON | InputFlags::IXOFF
        );
    }

    #[test]
    fn a_device_that_does_not_take_a_setting_is_refused_by_its_name() {
        let (far, serial) = line(&LineSettings::default());
        let odd = LineSettings { data_bits: DataBits::Seven, parity: Parity::Even, ..LineSettings::default() };
        let error = serial.set(&odd).expect_err("a pty has eight bits").to_string();
        let device = far.slave().display();
        assert_eq!(
            error,
            format!("cannot set up the serial device {device}: it does not take seven data bits, even parity")
        );
    }

    #[test]
    fn an_exclusive_line_is_refused_to_the_next_one_until_it_is_closed() {
        let (far, serial) = line(&LineSettings::default());
        let error = Serial::open(far.slave(), &LineSettings::default()).expect_err("reserved").to_string();
        assert!(error.contains("another program is using it"), "{error}");
        drop(serial);
        Serial::open(far.slave(), &LineSettings::default()).expect("free again");
    }

    #[test]
    fn a_shared_line_can_be_opened_twice() {
        let shared = LineSettings { exclusive: false, ..LineSettings::default() };
        let (far, _serial) = line(&shared);
        Serial::open(far.slave(), &shared).expect("shared");
    }

    #[test]
    fn a_line_that_has_vanished_says_so() {
        let (far, serial) = line(&LineSettings::default());
        let device = serial.device().display().to_string();
        drop(far);
        wait(&serial);
        for error in [serial.read(&mut [0; 10]).expect_err("gone"), serial.write(b"x").expect_err("gone")] {
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
            assert!(error.to_string().starts_with(&format!("the serial device {device} has vanished: ")), "{error}");
        }
    }

    #[test]
    fn what_is_no_line_is_an_error_that_names_it() {
        let error = Serial::open("/dev/ttyNONE", &LineSettings::default()).expect_err("missing").to_string();
        assert!(
            error.starts_with("cannot open the serial device /dev/ttyNONE: ") && error.ends_with("(is it plugged in?)"),
            "{error}"
        );
        let error = Serial::open("/dev/null", &LineSettings { exclusive: false, ..LineSettings::default() })
            .expect_err("no terminal")
            .to_string();
        assert!(error.contains("/dev/null") && error.contains("not a terminal"), "{error}");
    }

    #[test]
    fn what_was_not_read_can_be_discarded() {
        let (far, serial) = line(&LineSettings::default());
        assert_eq!(nix::unistd::write(&far, b"stale"), Ok(5));
        wait(&serial);
        serial.discard().expect("a terminal");
        assert_eq!(serial.read(&mut [0; 10]).expect_err("nothing is left").kind(), ErrorKind::WouldBlock);
    }
}
