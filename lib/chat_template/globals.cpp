// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The functions that every template has: Jinja's own, and the two that transformers adds.
#include <array>

#include "lib/chat_template/interpreter.h"
#include "lib/chat_template/operators.h"
#include "lib/chat_template/string_methods.h"

namespace qeff::jinja {
namespace {

/// cycler('a', 'b'): next() gives them in turn.
class Cycler final : public Object, public std::enable_shared_from_this<Cycler> {
 public:
  explicit Cycler(std::vector<Value> items) : items_(Value::FromList(std::move(items))) {}
  std::string TypeName() const override { return "jinja2.utils.Cycler"; }
  int depth() const override { return items_.depth(); }
  std::optional<Value> Attribute(std::string_view name) const override {
    if (name == "current") return items_.sequence()->items[position_];
    if (name == "items") return items_;
    if (name == "pos") return Value::FromInteger(static_cast<Integer>(position_));
    if (name == "next") return Bind("next", &Cycler::Next);
    if (name == "reset") return Bind("reset", &Cycler::Reset);
    return std::nullopt;
  }

 private:
  static Result<Value> Next(Interpreter&, const Value& self, const Arguments&) {
    Cycler* cycler = self.As<Cycler>();
    const std::vector<Value>& items = cycler->items_.sequence()->items;
    const Value current = items[cycler->position_];
    cycler->position_ = (cycler->position_ + 1) % items.size();
    return current;
  }
  static Result<Value> Reset(Interpreter&, const Value& self, const Arguments&) {
    self.As<Cycler>()->position_ = 0;
    return Value();
  }
  Value Bind(std::string name, Function::Body body) const {
    const Value self = Value::FromObject(std::const_pointer_cast<Cycler>(shared_from_this()));
    return Value::FromObject(std::make_shared<Function>(std::move(name), body, self));
  }

  Value items_;
  size_t position_ = 0;
};

/// joiner(', '): nothing at the first call, then the separator.
class Joiner final : public Object {
 public:
  explicit Joiner(Value separator) : separator_(std::move(separator)) {}
  std::string TypeName() const override { return "jinja2.utils.Joiner"; }
  bool is_callable() const override { return true; }
  int depth() const override { return separator_.depth() + 1; }
  Result<Value> Call(Interpreter&, Arguments) override {
    if (was_called_) return separator_;
    was_called_ = true;
    return Value::FromText("");
  }

 private:
  Value separator_;
  bool was_called_ = false;
};

Result<Value> MakeRange(Interpreter& interpreter, const Value&, const Arguments& arguments) {
  QEFF_ASSIGN_OR_RETURN(auto bound,
                        BindArguments("range", {"/start", "/stop", "/step"}, 1, arguments));
  Integer values[3] = {0, 0, 1};
  for (size_t i = 0; i < 3; ++i) {
    if (!bound[i].has_value()) continue;
    QEFF_ASSIGN_OR_RETURN(values[i], ToCount(*bound[i]));
  }
  if (!bound[1].has_value()) std::swap(values[0], values[1]);
  const auto [start, stop, step] = std::tuple(values[0], values[1], values[2]);
  if (step == 0) return OperationError("range() arg 3 must not be zero");
  const Integer distance = step > 0 ? stop - start : start - stop;
  const Integer stride = step > 0 ? step : -step;
  const Integer count = distance > 0 ? (distance + stride - 1) / stride : 0;
  if (count > static_cast<Integer>(Range::kMaxItems)) {
    return OperationError(
        fmt::format("range too big: at most {} items are allowed", Range::kMaxItems));
  }
  std::vector<Value> items;
  const auto size = static_cast<size_t>(count);
  if (!interpreter.budget().Reserve(size, sizeof(Value)) || !interpreter.budget().Work(size)) {
    return Value();
  }
  for (Integer i = 0; i < count; ++i) items.push_back(Value::FromInteger(start + i * step));
  return Value::FromObject(std::make_shared<Range>(start, stop, step, std::move(items)));
}

/// Puts a mapping or pairs, then the keywords, into a dictionary.
Result<Dictionary> MakeEntries(std::string_view name, const Arguments& arguments) {
  if (arguments.positional.size() > 1) {
    return OperationError(
        fmt::format("{} expected at most 1 argument, got {}", name, arguments.positional.size()));
  }
  Dictionary entries;
  if (!arguments.positional.empty()) {
    const Value& source = arguments.positional.front();
    if (source.dictionary() != nullptr) {
      entries = *source.dictionary();
    } else {
      QEFF_ASSIGN_OR_RETURN(const std::vector<Value> pairs, Items(source));
      for (const Value& pair : pairs) {
        QEFF_ASSIGN_OR_RETURN(const std::vector<Value> parts, Items(pair));
        if (parts.size() != 2) {
          return OperationError(fmt::format("expected pairs, got {} items", parts.size()));
        }
        if (!parts[0].IsHashable()) {
          return OperationError(fmt::format("unhashable type: '{}'", parts[0].TypeName()));
        }
        entries.Set(parts[0], parts[1]);
      }
    }
  }
  for (const auto& [key, value] : arguments.keywords) entries.Set(Value::FromText(key), value);
  return entries;
}

Result<Value> MakeDictionary(Interpreter& interpreter, const Value&, const Arguments& arguments) {
  QEFF_ASSIGN_OR_RETURN(Dictionary entries, MakeEntries("dict", arguments));
  interpreter.budget().Reserve(entries.size() * 2 * sizeof(Value));
  return Value::FromDictionary(std::move(entries));
}

Result<Value> MakeNamespace(Interpreter& interpreter, const Value&, const Arguments& arguments) {
  const auto object = std::make_shared<Namespace>();
  QEFF_ASSIGN_OR_RETURN(object->attributes, MakeEntries("namespace", arguments));
  interpreter.budget().Reserve(sizeof(Namespace) + object->attributes.size() * 2 * sizeof(Value));
  interpreter.Adopt(object);
  return Value::FromObject(object);
}

Result<Value> MakeCycler(Interpreter&, const Value&, const Arguments& arguments) {
  if (arguments.positional.empty()) return OperationError("at least one item has to be provided");
  return Value::FromObject(std::make_shared<Cycler>(arguments.positional));
}

Result<Value> MakeJoiner(Interpreter&, const Value&, const Arguments& arguments) {
  QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments("joiner", {"sep"}, 0, arguments));
  return Value::FromObject(std::make_shared<Joiner>(bound[0].value_or(Value::FromText(", "))));
}

Result<Value> RaiseException(Interpreter& interpreter, const Value&, const Arguments& arguments) {
  QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments("raise_exception", {"message"}, 1, arguments));
  return InvalidInput({}, interpreter.ToText(*bound[0]),
                      {"the chat template refuses these messages with this text"});
}

Result<Value> FormatTime(Interpreter& interpreter, const Value&, const Arguments& arguments) {
  QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments("strftime_now", {"format"}, 1, arguments));
  if (!bound[0]->is_text()) return OperationError("strftime_now() expects a string");
  // The time has no zone and no microseconds.
  Budget& budget = interpreter.budget();
  std::string format = Replace(bound[0]->text(), "%f", "000000", -1, budget);
  format = Replace(Replace(format, "%z", "", -1, budget), "%Z", "", -1, budget);
  if (format.empty()) return Value::FromText("");
  constexpr size_t kMaxFormat = 1000;
  if (format.size() > kMaxFormat || format.find('\0') != std::string::npos) {
    return OperationError("strftime_now() got a format that is too long");
  }
  // A sentinel tells an empty result from a buffer that is too small.
  format += '.';
  std::array<char, 64 * 1024> buffer;
  const size_t length =
      std::strftime(buffer.data(), buffer.size(), format.c_str(), &interpreter.now());
  if (length == 0) return OperationError("strftime_now() got a format that is too long");
  return Value::FromText(std::string(buffer.data(), length - 1));
}

Result<Value> RefuseRandomText(Interpreter&, const Value&, const Arguments&) {
  return Unsupported({}, "lipsum() is not supported: nothing in a chat template is random");
}

}  // namespace

std::vector<std::pair<std::string, Value>> GlobalNames() {
  static constexpr std::pair<std::string_view, Function::Body> kFunctions[] = {
      {"range", MakeRange},         {"dict", MakeDictionary},
      {"namespace", MakeNamespace}, {"cycler", MakeCycler},
      {"joiner", MakeJoiner},       {"raise_exception", RaiseException},
      {"lipsum", RefuseRandomText}, {"strftime_now", FormatTime}};
  std::vector<std::pair<std::string, Value>> names;
  for (const auto& [name, body] : kFunctions) {
    names.emplace_back(name,
                       Value::FromObject(std::make_shared<Function>(std::string(name), body)));
  }
  return names;
}

}  // namespace qeff::jinja
