//! The bytes of an archive: hashed as they are read, and decompressed by what they begin with.
//!
//! Only decoders in Rust, since what they read is a stranger's; each with a bound on the memory that a
//! header can ask for.

use super::digest::{Digest, Hasher};
use lzma_rust2::XzReader;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _, SeekFrom};

/// The most memory for the window of a decoder, in bytes: what `xz -9` and `zstd -19` need.
const WINDOW: u64 = 128 << 20;

/// How much is read at once.
const BUFFER: usize = 128 << 10;

/// A part of a file, which is hashed while it is read.
#[derive(Debug)]
pub struct Hashed {
    file: File,
    left: u64,
    hasher: Hasher,
}

impl Hashed {
    /// From a place on, this many bytes.
    ///
    /// # Errors
    /// lseek(2).
    pub fn new(mut file: File, offset: u64, length: u64, hasher: Hasher) -> io::Result<Self> {
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self {
            file,
            left: length,
            hasher,
        })
    }

    /// Reads what is left, and says the digest of everything.
    ///
    /// # Errors
    /// The file is shorter than it was said to be, or cannot be read.
    pub fn finish(mut self) -> io::Result<Digest> {
        let mut buffer = vec![0; BUFFER];
        while self.read(&mut buffer)? > 0 {}
        Ok(self.hasher.finish())
    }
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let room = buffer.len().min(most);
        let Some(buffer) = buffer.get_mut(..room).filter(|room| !room.is_empty()) else {
            return Ok(0);
        };
        let n = self.file.read(buffer)?;
        if n == 0 {
            let text = format!("it is truncated: {} bytes are missing", self.left);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        self.left = self.left.saturating_sub(n as u64);
        self.hasher.update(buffer.get(..n).unwrap_or_default());
        Ok(n)
    }
}

/// Decompressed bytes.
pub enum Stream {
    /// As they are.
    Plain(Box<BufReader<Hashed>>),
    /// gzip (RFC 1952), also several members.
    Gzip(Box<flate2::bufread::MultiGzDecoder<BufReader<Hashed>>>),
    /// xz, also several streams.
    Xz(Box<XzReader<BufReader<Hashed>>>),
    /// Zstandard (RFC 8878), also several frames.
    Zstandard(Box<Frames>),
}

impl Stream {
    /// By the first bytes, whatever a name or a media type says.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn new(hashed: Hashed) -> io::Result<Self> {
        let mut source = BufReader::with_capacity(BUFFER, hashed);
        Ok(match source.fill_buf()? {
            [0x1f, 0x8b, ..] => Self::Gzip(Box::new(flate2::bufread::MultiGzDecoder::new(source))),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
                let most = u32::try_from(WINDOW >> 10).unwrap_or(u32::MAX);
                Self::Xz(Box::new(XzReader::new_mem_limit(source, true, most)))
            }
            // A frame, or one to be skipped.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                Self::Zstandard(Box::new(Frames::new(source)))
            }
            _ => Self::Plain(Box::new(source)),
        })
    }

    /// Whether it is not compressed.
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// Reads the rest of the file, and says its digest.
    ///
    /// # Errors
    /// As for [`Hashed::finish`].
    pub fn finish(self) -> io::Result<Digest> {
        match self {
            Self::Plain(source) => *source,
            Self::Gzip(decoder) => decoder.into_inner(),
            Self::Xz(decoder) => decoder.into_inner(),
            Self::Zstandard(decoder) => decoder.source,
        }
        .into_inner()
        .finish()
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(source) => source.read(buffer),
            Self::Gzip(decoder) => {
                let result = decoder.read(buffer);
                result.map_err(|error| damaged(error, decoder.get_mut()))
            }
            Self::Xz(decoder) => {
                let result = decoder.read(buffer);
                result.map_err(|error| damaged(error, decoder.inner_mut()))
            }
            Self::Zstandard(decoder) => {
                let result = decoder.read(buffer);
                result.map_err(|error| damaged(error, &mut decoder.source))
            }
        }
    }
}

/// The words of decoders differ; where nothing is left to be read, it is the end that is missing.
fn damaged(error: io::Error, source: &mut BufReader<Hashed>) -> io::Error {
    match source.fill_buf() {
        Ok([]) => io::ErrorKind::UnexpectedEof.into(),
        Ok(_) => io::Error::other(format!("it is damaged: {error}")),
        Err(error) => error,
    }
}

/// A decoder that goes on with the next frame where one ends.
pub struct Frames {
    source: BufReader<Hashed>,
    decoder: FrameDecoder,
    inside: bool,
}

impl Frames {
    fn new(source: BufReader<Hashed>) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(WINDOW);
        Self {
            source,
            decoder,
            inside: false,
        }
    }

    /// Reads the header of the next frame; whether there is one.
    fn next(&mut self) -> io::Result<bool> {
        loop {
            if self.source.fill_buf()?.is_empty() {
                return Ok(false);
            }
            match self.decoder.reset(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let mut skipped = (&mut self.source).take(length.into());
                    io::copy(&mut skipped, &mut io::sink())?;
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }
}

impl Read for Frames {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.inside {
                if !self.next()? {
                    return Ok(0);
                }
                self.inside = true;
            }
            if self.decoder.can_collect() > 0 {
                return self.decoder.read(buffer);
            }
            if self.decoder.is_finished() {
                let said = self.decoder.get_checksum_from_data();
                if said.is_some() && said != self.decoder.get_calculated_checksum() {
                    return Err(io::Error::other("it is damaged: a checksum is wrong"));
                }
                self.inside = false;
                continue;
            }
            self.decoder
                .decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1))
                .map_err(io::Error::other)?;
        }
    }
}
