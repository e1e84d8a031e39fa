// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/support/atomic_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace qeff {
namespace {

/// Calls `write` with a new file beside `path`, whose name is `temporary`. What a killed process of
/// the same number has left there is removed.
Status WriteTemporary(const std::filesystem::path& path, const std::filesystem::path& temporary,
                      const std::function<Status(FileWriter&)>& write) {
  std::error_code ignored;
  std::filesystem::remove(temporary, ignored);
  const auto create_and_write = [&]() -> Status {
    QEFF_ASSIGN_OR_RETURN(FileWriter writer, FileWriter::Create(temporary));
    QEFF_RETURN_IF_ERROR(write(writer));
    return writer.Close();
  };
  Status status = create_and_write();
  if (status.ok() || status.diagnostic().where.file != temporary) return status;
  Diagnostic diagnostic = status.diagnostic();
  diagnostic.where.file = path.string();  // the only name that the user knows
  return Status(std::move(diagnostic));
}

std::filesystem::path TemporaryOf(const std::filesystem::path& path) {
  return path.string() + fmt::format(".tmp-{}", ::getpid());
}

}  // namespace

Status WriteFileAtomically(const std::filesystem::path& path,
                           const std::function<Status(FileWriter&)>& write) {
  const std::filesystem::path temporary = TemporaryOf(path);
  Status status = WriteTemporary(path, temporary, write);
  if (status.ok() && std::rename(temporary.c_str(), path.c_str()) != 0) {
    status = IoError(Location::File(path.string()), "cannot replace the file", errno);
  }
  std::error_code ignored;
  if (!status.ok()) std::filesystem::remove(temporary, ignored);
  return status;
}

Status CheckWritable(const std::filesystem::path& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    return IoError(Location::File(path.string()), "cannot write the file: it is a folder");
  }
  const std::filesystem::path temporary = TemporaryOf(path);
  Status status = WriteTemporary(path, temporary, [](FileWriter&) { return Status::Ok(); });
  std::filesystem::remove(temporary, ignored);
  return status;
}

}  // namespace qeff
