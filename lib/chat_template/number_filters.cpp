// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Filters on numbers, and those that turn values into numbers or JSON.
#include <array>
#include <cmath>

#include "lib/chat_template/filters.h"
#include "lib/chat_template/interpreter.h"
#include "lib/chat_template/operators.h"
#include "lib/chat_template/string_methods.h"
#include "lib/chat_template/value_text.h"

namespace qeff::jinja {
namespace {

Result<Value> FilterAbs(Interpreter&, const Value& value, const Arguments& arguments) {
  QEFF_RETURN_IF_ERROR(BindArguments("abs", {}, 0, arguments).status());
  if (value.is_undefined()) return UndefinedError(value);
  if (value.is_float()) return Value::FromFloat(std::abs(value.number()));
  if (!value.is_integer()) {
    return OperationError(fmt::format("bad operand type for abs(): '{}'", value.TypeName()));
  }
  return value.integer() < 0 ? Negate(value) : Value::FromInteger(value.integer());
}

/// A float without its fraction; none if it is beyond 128 bits or no number.
std::optional<Integer> Truncate(double number) {
  constexpr double kBound = 1.7e38;
  if (!(std::abs(number) < kBound)) return std::nullopt;
  return static_cast<Integer>(number);
}

Result<Value> FilterInt(Interpreter&, const Value& value, const Arguments& arguments) {
  QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments("int", {"default", "base"}, 0, arguments));
  const Value fallback = bound[0].value_or(Value::FromInteger(0));
  if (value.is_undefined()) return UndefinedError(value);
  if (value.is_integer()) return Value::FromInteger(value.integer());
  std::optional<double> number;
  if (value.is_text()) {
    int64_t base = 10;
    if (bound[1].has_value()) {
      QEFF_ASSIGN_OR_RETURN(base, ToCount(*bound[1]));
    }
    const bool is_base = base == 0 || (base >= 2 && base <= 36);
    const std::optional<Integer> integer =
        is_base ? ParseInteger(value.text(), static_cast<int>(base)) : std::nullopt;
    if (integer.has_value()) return Value::FromInteger(*integer);
    number = ParseFloat(value.text());
  } else if (value.is_float()) {
    number = value.number();
  }
  const std::optional<Integer> integer = number.has_value() ? Truncate(*number) : std::nullopt;
  return integer.has_value() ? Value::FromInteger(*integer) : fallback;
}

Result<Value> FilterFloat(Interpreter&, const Value& value, const Arguments& arguments) {
  QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments("float", {"default"}, 0, arguments));
  if (value.is_undefined()) return UndefinedError(value);
  if (value.is_number()) return Value::FromFloat(value.number());
  const std::optional<double> number =
      value.is_text() ? ParseFloat(value.text()) : std::optional<double>();
  return number.has_value() ? Value::FromFloat(*number) : bound[0].value_or(Value::FromFloat(0));
}

/// Python's round(): to the nearest decimal, halves of the exact value to even.
double RoundToDecimals(double number, int64_t digits) {
  constexpr int64_t kMaxDigits = 320;
  if (!std::isfinite(number) || digits > kMaxDigits) return number;
  if (digits >= 0) return std::strtod(fmt::format("{:.{}f}", number, digits).c_str(), nullptr);
  if (digits < -kMaxDigits) return std::copysign(0.0, number);
  const double unit = std::pow(10.0, static_cast<double>(-digits));
  return std::nearbyint(number / unit) * unit;
}

Result<Value> FilterRound(Interpreter&, const Value& value, const Arguments& arguments) {
  QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments("round", {"precision", "method"}, 0, arguments));
  int64_t digits = 0;
  if (bound[0].has_value()) {
    QEFF_ASSIGN_OR_RETURN(digits, ToCount(*bound[0]));
  }
  const std::string method =
      bound[1].has_value() && bound[1]->is_text() ? bound[1]->text() : "common";
  if (value.is_undefined()) return UndefinedError(value);
  if (!value.is_number()) {
    return OperationError(fmt::format("type {} doesn't define __round__ method", value.TypeName()));
  }
  if (method == "common") {
    if (value.is_float()) return Value::FromFloat(RoundToDecimals(value.number(), digits));
    if (digits >= 0) return Value::FromInteger(value.integer());
    const double rounded = RoundToDecimals(value.number(), digits);
    return Value::FromInteger(Truncate(rounded).value_or(value.integer()));
  }
  if (method != "ceil" && method != "floor") {
    return OperationError("method must be common, ceil or floor");
  }
  const double factor = std::pow(10.0, static_cast<double>(digits));
  const double scaled = value.number() * factor;
  return Value::FromFloat((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / factor);
}

Result<Value> FilterFileSize(Interpreter& interpreter, const Value& value,
                             const Arguments& arguments) {
  QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments("filesizeformat", {"binary"}, 0, arguments));
  QEFF_ASSIGN_OR_RETURN(const Value number, FilterFloat(interpreter, value, {}));
  const bool is_binary = bound[0].has_value() && bound[0]->IsTrue();
  const double bytes = number.number();
  const double base = is_binary ? 1024 : 1000;
  if (bytes == 1) return Value::FromText("1 Byte");
  if (bytes < base) return Value::FromText(fmt::format("{} Bytes", std::trunc(bytes)));
  constexpr std::string_view kPrefixes = "kMGTPEZY";
  double unit = base * base;
  size_t index = 0;
  for (; index + 1 < kPrefixes.size() && bytes >= unit; ++index) unit *= base;
  const char prefix = is_binary && index == 0 ? 'K' : kPrefixes[index];
  return Value::FromText(
      fmt::format("{:.1f} {}{}B", base * bytes / unit, prefix, is_binary ? "i" : ""));
}

constexpr FilterEntry kFilters[] = {
    {"abs", FilterAbs},     {"filesizeformat", FilterFileSize},
    {"float", FilterFloat}, {"int", FilterInt},
    {"round", FilterRound}, {"tojson", FilterToJson},
};

}  // namespace

Result<Value> FilterToJson(Interpreter& interpreter, const Value& value,
                           const Arguments& arguments) {
  QEFF_ASSIGN_OR_RETURN(
      auto bound,
      BindArguments("tojson", {"ensure_ascii", "indent", "separators", "sort_keys"}, 0, arguments));
  JsonStyle style;
  style.escapes_non_ascii = bound[0].has_value() && bound[0]->IsTrue();
  style.sorts_keys = bound[3].has_value() && bound[3]->IsTrue();
  if (bound[1].has_value() && !bound[1]->is_none()) {
    if (bound[1]->is_text()) {
      style.indent = bound[1]->text();
    } else {
      QEFF_ASSIGN_OR_RETURN(const int64_t width, ToCount(*bound[1]));
      if (!interpreter.budget().Reserve(static_cast<size_t>(std::max<int64_t>(width, 0)))) {
        return Value();
      }
      style.indent = std::string(static_cast<size_t>(std::max<int64_t>(width, 0)), ' ');
    }
    style.item_separator = ",";
  }
  if (bound[2].has_value() && !bound[2]->is_none()) {
    const Sequence* separators = bound[2]->sequence();
    if (separators == nullptr || separators->items.size() != 2 || !separators->items[0].is_text() ||
        !separators->items[1].is_text()) {
      return OperationError("tojson() expects separators of two strings");
    }
    style.item_separator = separators->items[0].text();
    style.key_separator = separators->items[1].text();
  }
  QEFF_ASSIGN_OR_RETURN(std::string text, ToJson(value, style, interpreter.budget()));
  return Value::FromText(std::move(text));
}

std::span<const FilterEntry> NumberFilters() { return kFilters; }

}  // namespace qeff::jinja
