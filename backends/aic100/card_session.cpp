// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/aic100/card_session.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include "backends/aic100/compile_plan.h"
#include "backends/aic100/compiler_messages.h"
#include "backends/aic100/session_abi.h"
#include "backends/program_file.h"
#include "lib/artifact/compile_files.h"
#include "lib/artifact/network_desc.h"
#include "lib/artifact/qpc.h"
#include "lib/ir/graph.h"
#include "lib/support/log.h"

namespace qeff::aic100 {
namespace {

constexpr std::string_view kPluginName = "libqeff_aic_session.so";

Status DescribeFailure(const std::filesystem::path& path, std::string_view what, int32_t status,
                       const std::string& text) {
  std::string message = fmt::format("{} failed", what);
  std::vector<std::string> notes;
  ErrorCode code = ErrorCode::kBackend;
  if (const KnownMessage* known = Recognize(text)) {
    message += fmt::format(": {}", known->meaning);
    notes.emplace_back(known->remedy);
    code = known->code;
  } else {
    for (const KnownStatus& entry : KnownStatuses()) {
      if (entry.status != status) continue;
      message += fmt::format(": {}", entry.meaning);
      notes.emplace_back(entry.remedy);
    }
  }
  if (status == QEFF_AIC_EXCEPTION) {
    notes.push_back(fmt::format("the runtime says: {}", text));
    if (notes.size() == 1)
      notes.emplace_back("'qaic-util -q' shows the devices, their state, free cores and memory");
  } else {
    notes.push_back(fmt::format("the runtime's status: {} in {}", status, text));
  }
  return Error(code, Location::File(path.string()), std::move(message), std::move(notes));
}

// ---- the plugin

/// A loaded plugin; stays loaded as long as sessions of it live.
class Plugin {
 public:
  static Result<std::shared_ptr<const Plugin>> Load(const std::filesystem::path& given) {
    const std::filesystem::path path = given.empty() ? InstalledPath() : given;
    std::error_code error;
    if (!std::filesystem::exists(path, error)) {
      std::vector<std::string> notes = DiagnoseCard();
      notes.push_back(
          "build qeff on the machine with the card and the vendor's SDK: the session's library is "
          "made where dev/inc/QAicApi.hpp is found (-DQEFF_AIC_SDK=DIR)");
      return Error(ErrorCode::kBackend, Location::File(path.string()),
                   "there is no library for sessions on a card", std::move(notes));
    }
    void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
      const char* reason = ::dlerror();
      return Error(ErrorCode::kBackend, Location::File(path.string()),
                   fmt::format("cannot be loaded: {}", reason == nullptr ? "unknown" : reason),
                   DiagnoseCard());
    }
    auto plugin = std::shared_ptr<Plugin>(new Plugin(handle));
    const auto entry =
        reinterpret_cast<QeffAicSessionEntry>(::dlsym(handle, QEFF_AIC_SESSION_ENTRY));
    if (entry == nullptr) {
      return Error(ErrorCode::kVersionMismatch, Location::File(path.string()),
                   "is no library for sessions on a card: it lacks " QEFF_AIC_SESSION_ENTRY);
    }
    plugin->api_ = entry();
    if (plugin->api_ == nullptr) {
      return Error(ErrorCode::kVersionMismatch, Location::File(path.string()), "gives no interface",
                   {"build it together with this qeff"});
    }
    if (plugin->api_->abi_version != QEFF_AIC_SESSION_ABI) {
      return Error(ErrorCode::kVersionMismatch, Location::File(path.string()),
                   fmt::format("expected interface {}, got {}", QEFF_AIC_SESSION_ABI,
                               plugin->api_->abi_version),
                   {"build it together with this qeff"});
    }
    return std::shared_ptr<const Plugin>(std::move(plugin));
  }
  Plugin(const Plugin&) = delete;
  ~Plugin() { ::dlclose(handle_); }
  const QeffAicSessionApi& api() const { return *api_; }

 private:
  explicit Plugin(void* handle) : handle_(handle) {}

  /// Beside the program in a build tree, else lib/qeff of the installation that it is part of.
  static std::filesystem::path InstalledPath() {
    std::error_code error;
    const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
    const std::filesystem::path folder = program.parent_path();
    if (std::filesystem::exists(folder / kPluginName, error)) return folder / kPluginName;
    return folder.parent_path() / "lib" / "qeff" / kPluginName;
  }

  void* handle_;
  const QeffAicSessionApi* api_ = nullptr;
};

// ---- the program's description

/// Bindings can carry a path before the tensor's name.
std::string_view LastPart(std::string_view name) {
  const size_t slash = name.rfind('/');
  return slash == std::string_view::npos ? name : name.substr(slash + 1);
}

bool IsStateOutput(std::string_view name) { return name.ends_with(ir::kRetainedStateSuffix); }

/// Page-aligned memory, as the runtime wants it for transfers.
class PageBuffer {
 public:
  explicit PageBuffer(size_t size_bytes) : size_bytes_(size_bytes) {
    constexpr size_t kPageBytes = 4096;
    const size_t rounded = (size_bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
    data_.reset(
        static_cast<std::byte*>(std::aligned_alloc(kPageBytes, std::max(rounded, kPageBytes))));
    QEFF_CHECK(data_ != nullptr, "no memory for a buffer of {} bytes", size_bytes);
    std::memset(data_.get(), 0, size_bytes);
  }
  std::span<std::byte> bytes() const { return {data_.get(), size_bytes_}; }

 private:
  struct Free {
    void operator()(std::byte* data) const { std::free(data); }
  };
  std::unique_ptr<std::byte, Free> data_;
  size_t size_bytes_;
};

/// One binding in one specialization.
struct CallTensor {
  std::string name;
  bool is_input = false;
  bool is_skipped = false;  ///< state that stays on the card
  DType dtype = DType::kF32;
  std::vector<uint32_t> dims;
  std::optional<PageBuffer> buffer;

  TensorInfo info() const { return {name, dtype, {dims.begin(), dims.end()}}; }
};

class CardSession : public Session {
 public:
  static Result<std::unique_ptr<Session>> Open(const std::filesystem::path& folder,
                                               const CardOpenOptions& options) {
    auto session = std::unique_ptr<CardSession>(new CardSession);
    // The QNN SDK's programs lie in the folder itself.
    std::error_code error;
    session->path_ =
        std::filesystem::exists(folder / kBinaryFolder, error) ? folder / kBinaryFolder : folder;
    QEFF_ASSIGN_OR_RETURN(const auto specializations,
                          artifact::ReadSpecializations(folder / artifact::kSpecializationsName));
    const std::filesystem::path file_path = session->path_ / kProgramFileName;
    QEFF_ASSIGN_OR_RETURN(const artifact::QpcFile file, artifact::QpcFile::Open(file_path));
    session->is_simulated_ = file.Find(artifact::kSimulatedSegment) != nullptr;
    if (session->is_simulated_) {
      LogWarning("SIMULATED CARD: '{}' was made by a stand-in of the card's compiler",
                 folder.string());
    }
    QEFF_ASSIGN_OR_RETURN(const auto found,
                          artifact::FindNetworkDesc(file.segments(), file_path.string()));
    if (!found) {
      return InvalidInput(Location::File(file_path.string()),
                          "the program has no description of its inputs");
    }
    const artifact::NetworkDesc& network = found->desc;
    if (network.major_version != artifact::NetworkDesc::kMajorVersion) {
      LogWarning("'{}': the program's description has version {}.{}, expected {}.x",
                 file_path.string(), network.major_version, network.minor_version,
                 artifact::NetworkDesc::kMajorVersion);
    }
    QEFF_ASSIGN_OR_RETURN(session->plugin_, Plugin::Load(options.plugin));
    QEFF_RETURN_IF_ERROR(session->Load(options.devices));
    for (size_t i = 0; i < specializations.size(); ++i)
      QEFF_RETURN_IF_ERROR(session->AddSpecialization(specializations[i], network));
    return std::unique_ptr<Session>(std::move(session));
  }

  ~CardSession() override {
    if (handle_ != nullptr) plugin_->api().close(handle_);
  }

  const std::vector<SpecializationInfo>& specializations() const override { return infos_; }
  const std::vector<TensorInfo>& retained_state() const override { return state_; }

  std::span<std::byte> Input(size_t specialization, std::string_view name) override {
    return BufferOf(specialization, name, true);
  }
  std::span<const std::byte> Output(size_t specialization, std::string_view name) const override {
    return BufferOf(specialization, name, false);
  }

  Status Run(size_t specialization) override {
    static constexpr uint32_t kNoElements = 0;
    std::vector<QeffAicBuffer> buffers;
    for (const CallTensor& tensor : calls_[specialization]) {
      if (tensor.is_skipped) {
        buffers.push_back({.data = nullptr,
                           .size_bytes = 0,
                           .element_bytes = ElementBytes(tensor.dtype),
                           .rank = 1,
                           .dims = &kNoElements});
        continue;
      }
      const std::span<std::byte> bytes = tensor.buffer->bytes();
      buffers.push_back({.data = bytes.data(),
                         .size_bytes = bytes.size(),
                         .element_bytes = ElementBytes(tensor.dtype),
                         .rank = static_cast<uint32_t>(tensor.dims.size()),
                         .dims = tensor.dims.data()});
    }
    std::array<char, 1024> text{};
    const int32_t status = plugin_->api().run(handle_, buffers.data(), text.data(), text.size());
    if (status == QEFF_AIC_OK) return Status::Ok();
    return DescribeFailure(path_, "a call of the program", status, text.data());
  }

  // Positions start from 0 again, and a slot is written before a position makes it visible, so what
  // is left of the last sequence in a cache is never read.
  Status ResetState() override {
    if (!has_recurrent_state_) return Status::Ok();
    return Unsupported(Location::File(path_.string()),
                       "recurrent state on a card cannot be set to zero",
                       {"open the program again for each sequence"});
  }

  Result<std::vector<float>> ReadState(std::string_view name) const override {
    return Unsupported(Location::Tensor(path_.string(), name), "state stays on the card");
  }

 private:
  CardSession() = default;

  static uint32_t ElementBytes(DType dtype) { return static_cast<uint32_t>(DTypeBytes(dtype, 1)); }

  Status Load(const std::vector<int>& devices) {
    const std::string folder = path_.string();
    const std::vector<int32_t> ids(devices.begin(), devices.end());
    const QeffAicOpenOptions options{.folder = folder.c_str(),
                                     .device_ids = ids.data(),
                                     .device_count = static_cast<uint32_t>(ids.size())};
    std::array<char, 1024> text{};
    const int32_t status = plugin_->api().open(&options, &handle_, text.data(), text.size());
    if (status == QEFF_AIC_OK) return Status::Ok();
    handle_ = nullptr;
    Status failure =
        DescribeFailure(path_, fmt::format("loading the program on device {}", fmt::join(ids, ",")),
                        status, text.data());
    // A simulated card is in no machine.
    if (is_simulated_) return failure;
    for (std::string& finding : DiagnoseCard())
      failure = std::move(failure).WithNote(std::move(finding));
    return failure;
  }

  /// Type and dims of the binding `name` in entry `shape` of the description.
  static const artifact::TensorShape* FindShape(const artifact::NetworkDesc& network,
                                                std::string_view name, size_t shape) {
    size_t index = 0;
    for (const auto* list : {&network.inputs, &network.outputs}) {
      for (const artifact::IoBinding& binding : *list) {
        if (LastPart(binding.name) == LastPart(name)) return &network.allowed_shapes[shape][index];
        ++index;
      }
    }
    return nullptr;
  }

  /// True if the entry `shape` has the token counts of `specialization`.
  static bool Fits(const artifact::NetworkDesc& network, size_t shape,
                   const artifact::Specialization& specialization) {
    const std::array<std::array<std::string_view, 2>, 3> checked = {{
        {"input_ids", "seq_len"},
        {"comp_ctx_lengths", "comp_ctx_lengths"},
        {"num_logits_to_keep", "num_logits_to_keep"},
    }};
    for (const auto& [binding, symbol] : checked) {
      const artifact::TensorShape* found = FindShape(network, binding, shape);
      const auto wanted = specialization.Find(symbol);
      if (found == nullptr || !wanted || found->dims.empty()) continue;
      const int32_t got = binding == "input_ids" ? found->dims.back() : found->dims.front();
      if (got != *wanted) return false;
    }
    const artifact::TensorShape* ids = FindShape(network, "input_ids", shape);
    const auto batch = specialization.Find("batch_size");
    return ids == nullptr || ids->dims.empty() || !batch || ids->dims.front() == *batch;
  }

  Status AddSpecialization(const artifact::Specialization& specialization,
                           const artifact::NetworkDesc& network) {
    size_t shape = 0;
    while (shape < network.allowed_shapes.size() && !Fits(network, shape, specialization)) ++shape;
    if (shape == network.allowed_shapes.size()) {
      return InvalidInput(
          Location::File(path_.string()),
          fmt::format("the program has no shapes of specialization '{}' of specializations.json",
                      specialization.graph_name),
          {"compile the model again"});
    }
    const QeffAicBinding* bindings = nullptr;
    const uint32_t count = plugin_->api().bindings(handle_, &bindings);
    SpecializationInfo info{
        .name = specialization.graph_name,
        .symbols = {specialization.symbols.begin(), specialization.symbols.end()},
        .inputs = {},
        .outputs = {}};
    std::vector<CallTensor> call;
    for (uint32_t i = 0; i < count; ++i) {
      QEFF_ASSIGN_OR_RETURN(CallTensor tensor, DescribeTensor(bindings, count, i, network, shape));
      if (!tensor.is_skipped) {
        (tensor.is_input ? info.inputs : info.outputs).push_back(tensor.info());
        tensor.buffer.emplace(ElementCountOf(tensor.dims) * ElementBytes(tensor.dtype));
      } else if (tensor.is_input && infos_.empty()) {
        state_.push_back(tensor.info());
        has_recurrent_state_ |=
            tensor.name.starts_with("conv_state.") || tensor.name.starts_with("recurrent_state.");
      }
      call.push_back(std::move(tensor));
    }
    infos_.push_back(std::move(info));
    calls_.push_back(std::move(call));
    return Status::Ok();
  }

  static size_t ElementCountOf(const std::vector<uint32_t>& dims) {
    return std::accumulate(dims.begin(), dims.end(), size_t{1}, std::multiplies<>());
  }

  Result<CallTensor> DescribeTensor(const QeffAicBinding* bindings, uint32_t count, uint32_t index,
                                    const artifact::NetworkDesc& network, size_t shape) const {
    const QeffAicBinding& binding = bindings[index];
    const std::string name(LastPart(binding.name));
    const artifact::TensorShape* described = FindShape(network, binding.name, shape);
    if (described == nullptr) {
      return InvalidInput(Location::Tensor(path_.string(), name),
                          "the runtime has a binding that the program's description lacks");
    }
    const auto dtype = artifact::StorageDType(described->type);
    if (!dtype) {
      return Unsupported(Location::Tensor(path_.string(), name),
                         fmt::format("element type {} of the runtime is not known",
                                     static_cast<int32_t>(described->type)));
    }
    QEFF_ASSIGN_OR_RETURN(const int64_t size_bytes,
                          artifact::TensorBytes({.type = described->type, .dims = described->dims},
                                                path_.string(), name));
    CallTensor tensor{.name = name,
                      .is_input = binding.is_input != 0,
                      .dtype = *dtype,
                      .dims = {described->dims.begin(), described->dims.end()},
                      .buffer = {}};
    const std::string partner = name + std::string(ir::kRetainedStateSuffix);
    const bool is_state = tensor.is_input ? std::any_of(bindings, bindings + count,
                                                        [&partner](const QeffAicBinding& other) {
                                                          return LastPart(other.name) == partner;
                                                        })
                                          : IsStateOutput(name);
    // Of a state that stays on the card no buffer is made.
    if (size_bytes > UINT32_MAX && !is_state) {
      return InvalidInput(
          Location::Tensor(path_.string(), name),
          fmt::format("its shape [{}] takes {} bytes, more than one transfer to a card holds",
                      fmt::join(described->dims, ", "), size_bytes),
          {"the program is damaged: compile it again"});
    }
    if (is_state && binding.is_partial_allowed == 0) {
      return Unsupported(Location::Tensor(path_.string(), name),
                         "the program does not keep this state on the card",
                         {"compile with -retained-state, as qeff-compile does"});
    }
    tensor.is_skipped = is_state;
    return tensor;
  }

  std::span<std::byte> BufferOf(size_t specialization, std::string_view name, bool is_input) const {
    for (const CallTensor& tensor : calls_[specialization]) {
      if (tensor.name == name && tensor.is_input == is_input && tensor.buffer)
        return tensor.buffer->bytes();
    }
    return {};
  }

  std::filesystem::path path_;
  std::shared_ptr<const Plugin> plugin_;
  QeffAicSession* handle_ = nullptr;
  std::vector<SpecializationInfo> infos_;
  std::vector<std::vector<CallTensor>> calls_;  ///< [specialization][binding]
  std::vector<TensorInfo> state_;
  bool has_recurrent_state_ = false;
  bool is_simulated_ = false;
};

}  // namespace

std::vector<std::string> DiagnoseCard(const std::filesystem::path& system_root) {
  std::error_code error;
  std::vector<std::filesystem::path> cards;
  const auto identifier = [](const std::filesystem::path& file) {
    const Result<std::string> text = ReadSmallFile(file, 64);
    return text.ok() ? text->substr(0, text->find('\n')) : std::string();
  };
  for (const auto& entry :
       std::filesystem::directory_iterator(system_root / "sys/bus/pci/devices", error)) {
    const std::string device = identifier(entry.path() / "device");
    if (identifier(entry.path() / "vendor") == "0x17cb" &&
        (device == "0xa100" || device == "0xa080"))
      cards.push_back(entry.path());
  }
  if (cards.empty())
    return {"this machine has no Cloud AI card: no PCI device 17cb:a100 or 17cb:a080"};
  std::vector<std::string> nodes;
  for (const std::filesystem::path& card : cards) {
    for (const auto& entry : std::filesystem::directory_iterator(card / "accel", error))
      nodes.push_back(entry.path().filename().string());
  }
  if (nodes.empty())
    return {
        "there is a Cloud AI card, but no driver has taken it: install the Platform SDK, or load "
        "the kernel's module qaic"};
  std::vector<std::string> findings;
  for (const std::string& node : nodes) {
    const std::filesystem::path path = system_root / "dev/accel" / node;
    if (::access(path.c_str(), R_OK | W_OK) != 0)
      findings.push_back(fmt::format(
          "this user may not use {}: add the user to group qaic and log in again", path.string()));
  }
  return findings;
}

Result<std::string> CheckPlugin(const std::filesystem::path& plugin) {
  QEFF_ASSIGN_OR_RETURN(const std::shared_ptr<const Plugin> loaded, Plugin::Load(plugin));
  return std::string(loaded->api().built_for);
}

Result<std::unique_ptr<Session>> OpenCardSession(const std::filesystem::path& folder,
                                                 const CardOpenOptions& options) {
  return CardSession::Open(folder, options);
}

}  // namespace qeff::aic100
