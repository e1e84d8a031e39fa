// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/ops/symbolic_int.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <set>

#include "lib/support/status.h"

namespace qeff::ops {
namespace {

bool IsName(std::string_view text) {
  if (text.empty() || (text[0] >= '0' && text[0] <= '9')) return false;
  return text.find_first_of("* ") == std::string_view::npos;
}

bool ReadNumber(std::string_view text, int64_t* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

SymbolicInt::SymbolicInt(int64_t value) : is_known_(true) {
  if (value != 0) terms_[{}] = value;
}

SymbolicInt SymbolicInt::Symbol(std::string name) {
  SymbolicInt made(0);
  made.terms_[{std::move(name)}] = 1;
  return made;
}

bool SymbolicInt::is_number() const {
  return is_known_ && (terms_.empty() || (terms_.size() == 1 && terms_.begin()->first.empty()));
}

int64_t SymbolicInt::number() const {
  QEFF_CHECK(is_number(), "'{}' is not a number", ToString());
  return terms_.empty() ? 0 : terms_.begin()->second;
}

void SymbolicInt::AddTerm(const Factors& factors, int64_t coefficient) {
  if (!is_known_) return;
  int64_t& sum = terms_[factors];
  // The lowest number has no negation: leaving it out keeps -x and printing free of overflow.
  const bool overflows =
      __builtin_add_overflow(sum, coefficient, &sum) || sum == std::numeric_limits<int64_t>::min();
  if (sum == 0) terms_.erase(factors);
  if (overflows || terms_.size() > kMostTerms || factors.size() > kMostFactors) {
    *this = SymbolicInt();
  }
}

SymbolicInt operator+(const SymbolicInt& a, const SymbolicInt& b) {
  if (!a.is_known_ || !b.is_known_) return {};
  SymbolicInt sum = a;
  for (const auto& [factors, coefficient] : b.terms_) sum.AddTerm(factors, coefficient);
  return sum;
}

SymbolicInt operator-(const SymbolicInt& a, const SymbolicInt& b) { return a + b * -1; }

SymbolicInt operator*(const SymbolicInt& a, const SymbolicInt& b) {
  if (!a.is_known_ || !b.is_known_) return {};
  SymbolicInt product(0);
  for (const auto& [left, left_coefficient] : a.terms_) {
    for (const auto& [right, right_coefficient] : b.terms_) {
      int64_t coefficient = 0;
      if (__builtin_mul_overflow(left_coefficient, right_coefficient, &coefficient)) return {};
      std::vector<std::string> factors;
      std::merge(left.begin(), left.end(), right.begin(), right.end(), std::back_inserter(factors));
      product.AddTerm(factors, coefficient);
    }
  }
  return product;
}

SymbolicInt operator/(const SymbolicInt& a, const SymbolicInt& b) {
  if (!a.is_known_ || b.terms_.size() != 1) return {};
  const auto& [divisor, divisor_coefficient] = *b.terms_.begin();
  if (divisor_coefficient == -1) return a * -1 / (b * -1);  // the lowest number / -1 traps
  SymbolicInt quotient(0);
  for (const auto& [factors, coefficient] : a.terms_) {
    if (coefficient % divisor_coefficient != 0 ||
        !std::includes(factors.begin(), factors.end(), divisor.begin(), divisor.end())) {
      return {};
    }
    std::vector<std::string> rest;
    std::set_difference(factors.begin(), factors.end(), divisor.begin(), divisor.end(),
                        std::back_inserter(rest));
    quotient.AddTerm(rest, coefficient / divisor_coefficient);
  }
  return quotient;
}

SymbolicInt SymbolicInt::FloorDivide(int64_t divisor) const {
  QEFF_CHECK(divisor > 0, "division by {}", divisor);
  if (!is_known_) return {};
  SymbolicInt quotient(0);
  SymbolicInt rest(0);
  for (const auto& [factors, coefficient] : terms_) {
    int64_t whole = coefficient / divisor;
    if (coefficient % divisor < 0) --whole;
    quotient.AddTerm(factors, whole);
    rest.AddTerm(factors, coefficient - whole * divisor);
  }
  if (rest.is_number()) return quotient;  // in [0, divisor)
  std::string text = rest.ToString();
  std::erase(text, ' ');
  if (text.find('*') != std::string::npos) return {};
  return quotient + Symbol(fmt::format("floor_div({},{})", text, divisor));
}

bool SymbolicInt::IsPositive() const {
  if (!is_known_) return false;
  int64_t lowest = 0;  // with every symbol 1
  for (const auto& [factors, coefficient] : terms_) {
    if (coefficient < 0 && !factors.empty()) return false;
    if (__builtin_add_overflow(lowest, coefficient, &lowest)) return false;
  }
  return lowest > 0;
}

SymbolicInt SymbolicInt::Substitute(const std::map<std::string, int64_t>& numbers) const {
  if (!is_known_) return {};
  SymbolicInt sum(0);
  for (const auto& [factors, coefficient] : terms_) {
    SymbolicInt product(coefficient);
    for (const std::string& factor : factors) {
      const auto found = numbers.find(factor);
      product = product * (found == numbers.end() ? Symbol(factor) : SymbolicInt(found->second));
    }
    sum = sum + product;
  }
  return sum;
}

std::vector<std::string> SymbolicInt::Symbols() const {
  std::set<std::string> names;
  for (const auto& [factors, coefficient] : terms_) names.insert(factors.begin(), factors.end());
  return {names.begin(), names.end()};
}

std::string SymbolicInt::ToString() const {
  if (!is_known_) return "?";
  if (terms_.empty()) return "0";
  // The number comes last: "seq_len + 1".
  std::vector<std::pair<Factors, int64_t>> ordered(terms_.begin(), terms_.end());
  if (ordered.front().first.empty()) {
    std::rotate(ordered.begin(), ordered.begin() + 1, ordered.end());
  }
  std::string text;
  for (const auto& [factors, coefficient] : ordered) {
    if (!text.empty()) text += coefficient < 0 ? " - " : " + ";
    const int64_t shown = text.empty() ? coefficient : std::abs(coefficient);
    if (factors.empty() || shown != 1) text += std::to_string(shown);
    for (size_t i = 0; i < factors.size(); ++i) {
      if (i > 0 || shown != 1) text += '*';
      text += factors[i];
    }
  }
  return text;
}

ir::Dim SymbolicInt::ToDim() const {
  if (!is_known_) return {};
  if (!is_number()) return ToString();
  return number() < 0 ? ir::Dim() : ir::Dim(number());
}

SymbolicInt SymbolicInt::FromDim(const ir::Dim& dim) {
  if (dim.is_number()) return dim.value();
  if (!dim.is_symbol()) return {};
  return IsName(dim.symbol()) ? Symbol(dim.symbol()) : Parse(dim.symbol());
}

SymbolicInt SymbolicInt::Parse(const std::string& text) {
  SymbolicInt sum(0);
  std::string_view rest = text;
  int64_t sign = 1;
  while (true) {
    const size_t end = std::min(rest.find(" + "), rest.find(" - "));
    std::string_view term = rest.substr(0, end);
    SymbolicInt product(sign);
    while (true) {
      const size_t star = term.find('*');
      const std::string_view factor = term.substr(0, star);
      int64_t number = 0;
      if (ReadNumber(factor, &number)) {
        product = product * number;
      } else if (IsName(factor)) {
        product = product * Symbol(std::string(factor));
      } else {
        return Symbol(text);
      }
      if (star == std::string_view::npos) break;
      term.remove_prefix(star + 1);
    }
    sum = sum + product;
    if (end == std::string_view::npos) return sum.is_known_ ? sum : Symbol(text);
    sign = rest[end + 1] == '-' ? -1 : 1;
    rest.remove_prefix(end + 3);
  }
}

}  // namespace qeff::ops
