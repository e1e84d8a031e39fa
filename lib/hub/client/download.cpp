// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/hub/client/download.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <functional>
#include <numeric>
#include <optional>

#include "lib/hub/client/hub_api.h"
#include "lib/hub/client/transfer.h"
#include "lib/hub/snapshot_store.h"
#include "lib/support/log.h"

namespace qeff::hub {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr size_t kCommitDigits = 40;
// The first question shows at once whether there is a network at all: no need to wait long.
constexpr int kFirstQuestionAttempts = 4;

bool IsCommit(std::string_view revision) {
  return revision.size() == kCommitDigits && IsContentHash(revision);
}

StorePlace PlaceOf(const HubSettings& settings, const DownloadRequest& request) {
  return {.cache_folder = request.cache_folder,
          .local_dir = request.local_dir,
          .use_links = settings.use_links};
}

fs::path ListPath(const DownloadRequest& request, const std::string& commit) {
  const fs::path folder = request.local_dir.empty()
                              ? request.cache_folder / request.repo.CacheFolderName()
                              : request.local_dir / ".cache" / "huggingface";
  return folder / "trees" / (commit + ".json");
}

/// Chooses of the listing, and looks what is there already.
Result<DownloadPlan> PlanFrom(std::string commit, std::vector<RepoFile> listing,
                              const HubSettings& settings, const DownloadRequest& request) {
  DownloadPlan plan{.commit = std::move(commit), .listing = std::move(listing)};
  QEFF_ASSIGN_OR_RETURN(std::vector<RepoFile> chosen,
                        SelectFiles(plan.listing, request.selection, request.repo.name));
  for (RepoFile& file : chosen) {
    const int64_t missing_bytes =
        SnapshotStore::MissingBytes(PlaceOf(settings, request), request.repo, plan.commit, file);
    plan.files.push_back({.file = std::move(file), .missing_bytes = missing_bytes});
  }
  return plan;
}

Result<DownloadPlan> AskPlan(const HubSettings& settings, const DownloadRequest& request,
                             int first_attempts, int attempts, bool* no_contact) {
  std::string commit = request.repo.revision;
  if (!IsCommit(commit)) {
    QEFF_ASSIGN_OR_RETURN(commit, AskCommit(settings, request.repo, first_attempts, no_contact));
  }
  // What a commit holds never changes.
  std::optional<std::vector<RepoFile>> listing = ReadFileList(ListPath(request, commit));
  if (!listing) {
    QEFF_ASSIGN_OR_RETURN(listing, AskFiles(settings, request.repo, commit, attempts, no_contact));
  }
  return PlanFrom(std::move(commit), std::move(*listing), settings, request);
}

/// Errors: kIo if the file system does not have room for `needed_bytes`.
Status CheckRoom(const fs::path& place, int64_t needed_bytes) {
  std::error_code error;
  fs::path existing = fs::absolute(place, error);
  while (!existing.empty() && existing != existing.root_path() && !fs::exists(existing, error)) {
    existing = existing.parent_path();
  }
  struct statvfs info {};
  if (::statvfs(existing.c_str(), &info) != 0) return Status::Ok();  // writing will tell
  const auto free_bytes = static_cast<int64_t>(info.f_bavail) * static_cast<int64_t>(info.f_frsize);
  if (needed_bytes <= free_bytes) return Status::Ok();
  return IoError(
      Location::File(place.string()),
      fmt::format("not enough room: {} bytes are needed, {} are free", needed_bytes, free_bytes), 0,
      {"free space there ('qeff-fetch --prune' shows what nothing uses), or choose another place "
       "with HF_HUB_CACHE or --local-dir"});
}

/// Hands out the files of a plan one by one, skipping what other processes provide meanwhile.
class JobQueue {
 public:
  JobQueue(const HubSettings& settings, const DownloadRequest& request, SnapshotStore& store,
           TransferProgress& progress, std::deque<RepoFile> files, std::string commit)
      : settings_(settings),
        request_(request),
        store_(store),
        progress_(progress),
        files_(std::move(files)),
        commit_(std::move(commit)) {}

  Result<NextJob> Next() {
    while (!files_.empty()) {
      const RepoFile file = std::move(files_.front());
      files_.pop_front();
      QEFF_ASSIGN_OR_RETURN(NextJob next, TryOpen(file));
      if (next.kind != NextJob::Kind::kNone) return next;
      // Kept by another process; it is asked again later.
    }
    if (Clock::now() >= next_look_) {
      constexpr auto kPause = std::chrono::milliseconds(300);
      next_look_ = Clock::now() + kPause;
      std::deque<RepoFile> again;
      std::swap(again, elsewhere_);
      while (!again.empty()) {
        const RepoFile file = std::move(again.front());
        again.pop_front();
        QEFF_ASSIGN_OR_RETURN(NextJob next, TryOpen(file));
        if (next.kind != NextJob::Kind::kJob) continue;
        elsewhere_.insert(elsewhere_.end(), again.begin(), again.end());
        return next;
      }
    }
    return NextJob{.kind = elsewhere_.empty() ? NextJob::Kind::kNone : NextJob::Kind::kLater};
  }

 private:
  /// A job; or nothing, when the file is there by now, or is put among those of other processes.
  Result<NextJob> TryOpen(const RepoFile& file) {
    FileLock lock(store_.LockPath(file));
    if (lock.state() == FileLock::State::kBusy) {
      if (!told_) progress_.Say("another process is fetching the same files: waiting for it");
      told_ = true;
      elsewhere_.push_back(file);
      return NextJob{};
    }
    QEFF_ASSIGN_OR_RETURN(const bool is_there, store_.Provide(file));
    if (is_there) {
      progress_.Remove(progress_.Add(file.path, file.size_bytes, 0), true);
      return NextJob{};
    }
    QEFF_ASSIGN_OR_RETURN(PartFile part,
                          PartFile::Open(store_.part_folder(), file.etag(), file.size_bytes));
    return NextJob{.kind = NextJob::Kind::kJob,
                   .job = TransferJob{.file = file,
                                      .url = FileUrl(settings_, request_.repo, commit_, file.path),
                                      .part = std::move(part),
                                      .lock = std::move(lock)}};
  }

  const HubSettings& settings_;
  const DownloadRequest& request_;
  SnapshotStore& store_;
  TransferProgress& progress_;
  std::deque<RepoFile> files_;
  std::deque<RepoFile> elsewhere_;  // locked by other processes
  std::string commit_;
  Clock::time_point next_look_;
  bool told_ = false;
};

/// Gets what the plan lacks into the store.
Status TransferMissing(const HubSettings& settings, const DownloadRequest& request,
                       const DownloadPlan& plan, SnapshotStore& store) {
  std::deque<RepoFile> missing;
  int64_t missing_bytes = 0;
  int64_t total_bytes = 0;
  for (const PlannedFile& planned : plan.files) {
    // Links that lead to what is there, and copies, are made here.
    QEFF_ASSIGN_OR_RETURN(const bool is_there, store.Provide(planned.file));
    if (is_there) continue;
    missing.push_back(planned.file);
    missing_bytes += planned.missing_bytes;
    total_bytes += planned.file.size_bytes;
  }
  if (missing.empty()) return Status::Ok();
  QEFF_RETURN_IF_ERROR(CheckRoom(store.part_folder(), missing_bytes));
  // Small files first: configs show early whether it is the right model.
  std::stable_sort(missing.begin(), missing.end(), [](const RepoFile& a, const RepoFile& b) {
    return a.sha256.empty() > b.sha256.empty();
  });
  const auto count = static_cast<int64_t>(missing.size());
  LogDebug("fetching {} files, {} bytes, of commit {}", count, missing_bytes, plan.commit);
  TransferProgress progress(settings.show_progress ? TransferProgress::Display::kShown
                                                   : TransferProgress::Display::kHidden,
                            total_bytes, count);
  JobQueue queue(settings, request, store, progress, std::move(missing), plan.commit);
  const TransferPlan transfer{
      .repo = request.repo,
      .commit = plan.commit,
      .connections = request.connections,
      .attempts = request.attempts,
      .next = [&] { return queue.Next(); },
      .publish = [&](TransferJob& job) { return store.Publish(job.part, job.file); }};
  return Transfer(settings, transfer, progress);
}

/// A revision that stands for something else by now is said, not followed.
void NoticeMove(const HubSettings& settings, const RepoId& repo, const std::string& commit) {
  const Result<std::string> now = AskCommit(settings, repo, 1);
  if (now.ok() && *now != commit) {
    LogWarning(
        "'{}' of '{}' moved to commit {} while {} was fetched; run this again for the new one",
        repo.revision, repo.name, *now, commit);
  }
}

/// What the cache has of the revision, if nothing of the choice is missing.
Result<Snapshot> FromCache(const HubSettings& settings, const DownloadRequest& request) {
  QEFF_ASSIGN_OR_RETURN(Snapshot snapshot, ResolveInCache(request.repo, request.cache_folder));
  const std::optional<std::vector<RepoFile>> listing = ListedFiles(snapshot);
  if (listing) {
    QEFF_ASSIGN_OR_RETURN(const DownloadPlan plan,
                          PlanFrom(snapshot.commit, *listing, settings, request));
    for (const PlannedFile& planned : plan.files) {
      std::error_code ignored;
      if (fs::exists(snapshot.folder / planned.file.path, ignored)) continue;
      return IoError(Location::File((snapshot.folder / planned.file.path).string()),
                     "the cached snapshot lacks this file", 0,
                     {"run this again where there is a network; it gets the rest"});
    }
  }
  return snapshot;
}

Result<Snapshot> BelowSubfolder(Snapshot snapshot, const std::string& subfolder) {
  if (subfolder.empty()) return snapshot;
  snapshot.subfolder = subfolder;
  snapshot.folder /= subfolder;
  std::error_code ignored;
  if (fs::is_directory(snapshot.folder, ignored)) return snapshot;
  return IoError(Location::File(snapshot.folder.string()), "no such folder in the snapshot");
}

}  // namespace

Result<DownloadPlan> PlanDownload(const HubSettings& settings, const DownloadRequest& request) {
  if (settings.offline) {
    QEFF_ASSIGN_OR_RETURN(const Snapshot snapshot,
                          ResolveInCache(request.repo, request.cache_folder));
    std::optional<std::vector<RepoFile>> listing = ListedFiles(snapshot);
    if (!listing) {
      return IoError(Location::Flag("HF_HUB_OFFLINE"),
                     fmt::format("the cache keeps no listing of '{}'", request.repo.name), 0,
                     {"unset HF_HUB_OFFLINE to ask the hub"});
    }
    return PlanFrom(snapshot.commit, std::move(*listing), settings, request);
  }
  return AskPlan(settings, request, kFirstQuestionAttempts, request.attempts, nullptr);
}

Result<Snapshot> Download(const HubSettings& settings, const DownloadRequest& request) {
  const std::string& subfolder = request.selection.subfolder;
  if (settings.offline && !request.local_dir.empty()) {
    return UsageError(Location::Flag("--local-dir"),
                      "expected a hub to fetch from, but HF_HUB_OFFLINE is set",
                      {"unset it, or copy out of the cache with -o"});
  }
  if (settings.offline) {
    QEFF_ASSIGN_OR_RETURN(Snapshot snapshot, FromCache(settings, request));
    return BelowSubfolder(std::move(snapshot), subfolder);
  }
  // With something to fall back to, one question is enough.
  Result<Snapshot> cached = request.local_dir.empty()
                                ? FromCache(settings, request)
                                : Result<Snapshot>(IoError({}, "not looked for"));
  bool no_contact = false;
  Result<DownloadPlan> plan = cached.ok() ? AskPlan(settings, request, 1, 1, &no_contact)
                                          : AskPlan(settings, request, kFirstQuestionAttempts,
                                                    request.attempts, &no_contact);
  if (!plan.ok() && no_contact && cached.ok()) {
    LogWarning("the hub cannot be reached ({}); the cached commit {} is used",
               plan.diagnostic().message, cached->commit);
    return BelowSubfolder(std::move(*cached), subfolder);
  }
  if (!plan.ok() && cached.ok()) {
    return std::move(plan).status().WithNote(fmt::format(
        "the cache has commit {}: HF_HUB_OFFLINE=1 uses it without asking", cached->commit));
  }
  QEFF_RETURN_IF_ERROR(plan.ok() ? Status::Ok() : std::move(plan).status());
  const int64_t missing_bytes =
      std::transform_reduce(plan->files.begin(), plan->files.end(), int64_t{0}, std::plus<>(),
                            [](const PlannedFile& planned) { return planned.missing_bytes; });
  QEFF_RETURN_IF_ERROR(CheckRoom(
      request.local_dir.empty() ? request.cache_folder : request.local_dir, missing_bytes));
  QEFF_ASSIGN_OR_RETURN(SnapshotStore store, SnapshotStore::Open(PlaceOf(settings, request),
                                                                 request.repo, plan->commit));
  // A cache that has everything already may be one that this user cannot write to.
  const auto note = [&](Status status) {
    if (missing_bytes > 0 || status.ok()) return status;
    LogDebug("{}", status.diagnostic().ToString());
    return Status::Ok();
  };
  QEFF_RETURN_IF_ERROR(note(store.KeepList(plan->listing)));
  QEFF_RETURN_IF_ERROR(TransferMissing(settings, request, *plan, store));
  QEFF_RETURN_IF_ERROR(note(store.SetRef()));
  if (missing_bytes > 0 && !IsCommit(request.repo.revision)) {
    NoticeMove(settings, request.repo, plan->commit);
  }
  Snapshot snapshot{.folder = store.folder(), .repo = request.repo.name, .commit = plan->commit};
  if (!request.local_dir.empty()) snapshot = {.folder = store.folder()};
  return BelowSubfolder(std::move(snapshot), subfolder);
}

}  // namespace qeff::hub
