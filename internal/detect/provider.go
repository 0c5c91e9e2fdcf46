package detect

import (
	"bytes"
	"hash/crc32"
	"strings"
)

// key is how the keys of a provider look.
type key struct {
	prefix string
	chars  string // kinds of the characters behind the prefix, see keyChars
	min    int    // characters behind the prefix
	max    int
	check  func(rest []byte) bool
	set    *[256]bool // of chars
}

// Kinds of characters in keys.
const (
	hexChars    = "h" // 0-9 a-f A-F
	alnumChars  = "a" // letters and digits
	wordChars   = "w" // letters, digits, _ and -
	dotChars    = "d" // wordChars, . and =
	base64Chars = "b" // letters, digits, +, /, =, _ and -
	upperChars  = "u" // A-Z and 0-9
)

const unbounded = 1 << 10

// keys are those of the providers, by what they publish of their formats. A
// key is a random word: what has the prefix and is not random is none.
var keys = []key{
	// Clouds and hosting.
	{"AKIA", upperChars, 16, 16, nil, nil}, {"ASIA", upperChars, 16, 16, nil, nil}, {"ABIA", upperChars, 16, 16, nil, nil}, {"ACCA", upperChars, 16, 16, nil, nil},
	{"ABSK", base64Chars, 109, 269, nil, nil}, {"bedrock-api-key-", base64Chars, 16, unbounded, func(r []byte) bool { return hasPrefix(r, "YmVkcm9jay5hbWF6b25hd3MuY29t") }, nil},
	{"AIza", wordChars, 35, 35, nil, nil}, {"ya29.", dotChars, 40, unbounded, nil, nil}, {"GOCSPX-", wordChars, 28, 28, nil, nil},
	{"LTAI", alnumChars, 17, 20, nil, nil}, {"AKID", alnumChars, 32, 32, nil, nil}, {"dop_v1_", hexChars, 64, 64, nil, nil}, {"doo_v1_", hexChars, 64, 64, nil, nil}, {"dor_v1_", hexChars, 64, 64, nil, nil},
	{"HRKU-", wordChars, 36, 60, nil, nil}, {"nfp_", alnumChars, 36, 40, nil, nil}, {"vercel_", alnumChars, 24, 60, nil, nil}, {"vcp_", alnumChars, 24, 80, nil, nil},
	{"fo1_", wordChars, 43, 43, nil, nil}, {"fm1r_", base64Chars, 100, unbounded, nil, nil}, {"fm1a_", base64Chars, 100, unbounded, nil, nil}, {"fm2_", base64Chars, 100, unbounded, nil, nil},
	{"tk-us-", wordChars, 48, 48, nil, nil}, {"tk-eu-", wordChars, 48, 48, nil, nil}, {"v1.0-", hexChars + "-", 171, 171, nil, nil}, {"AQVN", wordChars, 35, 38, nil, nil}, {"YCAJE", wordChars, 20, 40, nil, nil},
	{"dapi", hexChars, 32, 34, func(r []byte) bool { return len(r) == 32 || r[32] == '-' }, nil}, {"pul-", hexChars, 40, 40, nil, nil}, {"hvs.", wordChars, 24, 300, nil, nil}, {"hvb.", wordChars, 138, 300, nil, nil}, {"hvp.", wordChars, 24, 300, nil, nil},
	{"dp.pt.", alnumChars, 40, 44, nil, nil}, {"dp.st.", dotChars, 40, 80, nil, nil}, {"dp.ct.", alnumChars, 40, 44, nil, nil}, {"dp.sa.", alnumChars, 40, 44, nil, nil}, {"dp.scim.", alnumChars, 40, 44, nil, nil}, {"dp.audit.", alnumChars, 40, 44, nil, nil},
	{"sha256~", wordChars, 43, 43, nil, nil}, {"pscale_tkn_", dotChars, 32, 64, nil, nil}, {"pscale_pw_", dotChars, 32, 64, nil, nil}, {"pscale_oauth_", dotChars, 32, 64, nil, nil}, {"pscale_otkn_", dotChars, 32, 64, nil, nil},
	{"cfut_", wordChars, 30, 80, nil, nil}, {"rnd_", alnumChars, 28, 40, nil, nil}, {"sbp_", hexChars, 40, 40, nil, nil}, {"sb_secret_", wordChars, 20, 60, nil, nil},
	{"npg_", alnumChars, 12, 40, nil, nil}, {"t1.", dotChars, 60, unbounded, nil, nil},
	// Code and its building.
	{"ghp_", alnumChars, 36, 36, nil, nil}, {"gho_", alnumChars, 36, 36, nil, nil}, {"ghu_", alnumChars, 36, 36, nil, nil}, {"ghs_", alnumChars, 36, 36, nil, nil}, {"ghr_", alnumChars, 36, 76, nil, nil},
	{"github_pat_", wordChars, 82, 82, nil, nil},
	{"glpat-", dotChars, 20, 64, nil, nil}, {"gldt-", dotChars, 20, 64, nil, nil}, {"glrt-", dotChars, 20, 64, nil, nil}, {"glrtr-", dotChars, 20, 64, nil, nil}, {"glptt-", hexChars, 40, 40, nil, nil}, {"glft-", wordChars, 20, 64, nil, nil}, {"glimt-", wordChars, 25, 64, nil, nil}, {"glcbt-", wordChars, 20, 64, nil, nil}, {"glagent-", wordChars, 50, 64, nil, nil}, {"gloas-", wordChars, 64, 64, nil, nil}, {"glsoat-", wordChars, 20, 64, nil, nil}, {"glffct-", wordChars, 20, 64, nil, nil}, {"GR1348941", wordChars, 20, 40, nil, nil},
	{"_gitlab_session=", alnumChars, 32, 32, nil, nil},
	{"npm_", alnumChars, 36, 36, nil, nil}, {"pypi-AgEIcHlwaS5vcmc", wordChars, 50, unbounded, nil, nil}, {"pypi-AgENdGVzdC5weXBpLm9yZw", wordChars, 50, unbounded, nil, nil}, {"rubygems_", hexChars, 48, 48, nil, nil}, {"CLOJARS_", alnumChars, 60, 60, nil, nil}, {"oy2", alnumChars, 43, 43, nil, nil}, {"crates_", alnumChars, 32, 40, nil, nil}, {"cio", alnumChars, 32, 32, nil, nil},
	{"dckr_pat_", wordChars, 27, 40, nil, nil}, {"dckr_oat_", wordChars, 27, 40, nil, nil}, {"ATATT3", dotChars, 180, 300, nil, nil}, {"ATCTT3", dotChars, 160, 300, nil, nil}, {"ATBB", alnumChars, 32, 32, nil, nil}, {"BBDC-", base64Chars, 40, 50, nil, nil},
	{"cmVmd", alnumChars, 59, 59, nil, nil}, {"AKCp", alnumChars, 69, 69, nil, nil}, {"sgp_local_", hexChars, 40, 40, nil, nil}, {"sgp_", hexChars + "_", 40, 57, nil, nil}, {"slk_", hexChars, 64, 64, nil, nil}, {"sqp_", hexChars, 40, 40, nil, nil}, {"sqa_", hexChars, 40, 40, nil, nil}, {"squ_", hexChars, 40, 40, nil, nil},
	{"ZXlK", base64Chars, 60, unbounded, isMixed, nil}, {"CCIPAT_", wordChars, 40, 80, nil, nil}, {"bkua_", hexChars, 40, 40, nil, nil}, {"lin_api_", alnumChars, 40, 40, nil, nil}, {"lin_oauth_", alnumChars, 40, 64, nil, nil}, {"PMAK-", hexChars + "-", 59, 59, nil, nil}, {"pnu_", alnumChars, 36, 36, nil, nil}, {"rdme_", alnumChars, 70, 70, nil, nil},
	{"sntrys_eyJ", base64Chars, 100, unbounded, isSentry, nil}, {"sntryu_", hexChars, 64, 64, nil, nil},
	{"dt0c01.", dotChars, 60, 120, nil, nil}, {"glc_", base64Chars, 32, 400, nil, nil}, {"glsa_", wordChars, 41, 41, nil, nil}, {"eyJrIjoi", base64Chars, 70, 400, nil, nil},
	{"NRAK-", upperChars, 27, 27, nil, nil}, {"NRII-", wordChars, 32, 32, nil, nil}, {"NRJS-", hexChars, 19, 19, nil, nil}, {"NRIQ-", wordChars, 32, 32, nil, nil}, {"NRAL-", wordChars, 27, 40, nil, nil},
	// Talk and mail.
	{"xoxb-", wordChars, 20, 120, isSlack, nil}, {"xoxp-", wordChars, 40, 200, isSlack, nil}, {"xoxa-", wordChars, 20, 200, nil, nil}, {"xoxr-", wordChars, 20, 200, nil, nil}, {"xoxs-", wordChars, 20, 120, nil, nil}, {"xoxo-", wordChars, 20, 120, nil, nil}, {"xoxe-", wordChars, 40, 300, nil, nil}, {"xoxe.xoxp-", wordChars, 100, 300, nil, nil}, {"xoxe.xoxb-", wordChars, 100, 300, nil, nil}, {"xapp-", wordChars, 40, 160, nil, nil},
	{"SG.", dotChars, 66, 66, nil, nil}, {"SK", hexChars, 32, 32, nil, nil}, {"xkeysib-", hexChars + "-w", 81, 81, nil, nil}, {"xsmtpsib-", wordChars, 81, 81, nil, nil}, {"key-", hexChars, 32, 32, nil, nil}, {"pubkey-", hexChars, 32, 32, nil, nil}, {"re_", wordChars, 24, 40, isMixed, nil},
	{"sk_live_", alnumChars, 10, 107, nil, nil}, {"sk_test_", alnumChars, 10, 107, nil, nil}, {"sk_prod_", alnumChars, 10, 107, nil, nil}, {"rk_live_", alnumChars, 10, 107, nil, nil}, {"rk_test_", alnumChars, 10, 107, nil, nil}, {"rk_prod_", alnumChars, 10, 107, nil, nil}, {"whsec_", base64Chars, 24, 64, nil, nil},
	{"sq0atp-", wordChars, 22, 60, nil, nil}, {"sq0csp-", wordChars, 43, 60, nil, nil}, {"EAAA", wordChars, 56, 80, nil, nil}, {"shpat_", hexChars, 32, 32, nil, nil}, {"shpca_", hexChars, 32, 32, nil, nil}, {"shppa_", hexChars, 32, 32, nil, nil}, {"shpss_", hexChars, 32, 32, nil, nil}, {"shippo_live_", hexChars, 40, 40, nil, nil}, {"shippo_test_", hexChars, 40, 40, nil, nil},
	{"EZAK", alnumChars, 54, 54, nil, nil}, {"EZTK", alnumChars, 54, 54, nil, nil}, {"FLWSECK_TEST-", wordChars, 12, 40, nil, nil}, {"FLWPUBK_TEST-", wordChars, 12, 40, nil, nil}, {"FLWSECK-", wordChars, 32, 40, nil, nil}, {"duffel_test_", dotChars, 43, 43, nil, nil}, {"duffel_live_", dotChars, 43, 43, nil, nil}, {"rzp_live_", alnumChars, 14, 24, nil, nil}, {"rzp_test_", alnumChars, 14, 24, nil, nil}, {"access_token$production$", alnumChars, 16, 60, nil, nil}, {"plaid-", wordChars, 30, 60, nil, nil},
	{"access-sandbox-", hexChars + "-", 36, 36, nil, nil}, {"access-development-", hexChars + "-", 36, 36, nil, nil}, {"access-production-", hexChars + "-", 36, 36, nil, nil},
	{"fio-u-", dotChars, 64, 64, nil, nil}, {"tfp_", dotChars, 59, 59, nil, nil}, {"pk.eyJ", dotChars, 40, 160, nil, nil}, {"sk.eyJ", dotChars, 40, 160, nil, nil}, {"figd_", wordChars, 38, 60, nil, nil}, {"ntn_", alnumChars, 46, 46, nil, nil}, {"secret_", alnumChars, 43, 43, nil, nil}, {"dnkey-", dotChars, 80, 100, nil, nil}, {"pat-na1-", hexChars + "-", 36, 36, nil, nil}, {"pat-eu1-", hexChars + "-", 36, 36, nil, nil},
	{"sc_", dotChars, 60, 120, isAuthress, nil}, {"ext_", dotChars, 60, 120, isAuthress, nil}, {"scauth_", dotChars, 60, 120, isAuthress, nil}, {"authress_", dotChars, 60, 120, isAuthress, nil}, {"sm_pat_", alnumChars, 16, 16, nil, nil}, {"sm_sat_", alnumChars, 16, 16, nil, nil}, {"sm_aat_", alnumChars, 16, 16, nil, nil},
	{"ops_eyJ", base64Chars, 200, unbounded, nil, nil}, {"A3-", upperChars + "-", 35, 45, nil, nil}, {"SSWS", alnumChars, 40, 50, nil, nil}, {"ico-", alnumChars, 32, 32, nil, nil}, {"AGE-SECRET-KEY-1", upperChars, 58, 58, nil, nil}, {"s-s4t2ud-", hexChars, 64, 64, nil, nil}, {"s-s4t2af-", hexChars, 64, 64, nil, nil}, {"PuTTY-User-Key-File-", dotChars, 1, 1, nil, nil},
	// Models.
	{"sk-proj-", wordChars, 20, 200, nil, nil}, {"sk-svcacct-", wordChars, 20, 200, nil, nil}, {"sk-admin-", wordChars, 20, 200, nil, nil}, {"sk-ant-api03-", wordChars, 80, 120, isAnthropic, nil}, {"sk-ant-admin01-", wordChars, 80, 120, isAnthropic, nil}, {"sk-ant-oat01-", wordChars, 80, 120, isAnthropic, nil}, {"sk-or-v1-", hexChars, 64, 64, nil, nil}, {"sk-lf-", hexChars + "-", 36, 36, nil, nil}, {"sk-", alnumChars, 32, 64, nil, nil},
	{"hf_", alnumChars, 34, 40, nil, nil}, {"api_org_", alnumChars, 34, 34, nil, nil}, {"r8_", alnumChars, 37, 40, nil, nil}, {"gsk_", alnumChars, 52, 52, nil, nil}, {"xai-", alnumChars, 70, 90, nil, nil}, {"pplx-", alnumChars, 48, 56, nil, nil}, {"nvapi-", wordChars, 60, 80, nil, nil}, {"tvly-", wordChars, 20, 60, nil, nil}, {"lsv2_pt_", hexChars + "_", 43, 50, nil, nil}, {"lsv2_sk_", hexChars + "_", 43, 50, nil, nil}, {"pcsk_", wordChars, 60, 90, nil, nil}, {"phc_", alnumChars, 40, 50, nil, nil}, {"phx_", alnumChars, 40, 50, nil, nil}, {"fw_", alnumChars, 22, 30, isMixed, nil}, {"jina_", wordChars, 40, 80, nil, nil}, {"tgp_v1_", wordChars, 40, 50, nil, nil}, {"AstraCS:", dotChars + ":", 80, 110, nil, nil}, {"CFPAT-", wordChars, 43, 43, nil, nil},
}

// isSentry: a region in the payload, and 43 characters behind the last _.
func isSentry(r []byte) bool {
	k := bytes.LastIndexByte(r, '_')
	p := r[:max(k, 0)]
	return len(r)-k-1 == 43 && (bytes.Contains(p, []byte("LCJyZWdpb25fdXJs")) || bytes.Contains(p, []byte("InJlZ2lvbl91cmwi")) || bytes.Contains(p, []byte("cmVnaW9uX3VybCI6")))
}

// published are keys that documents and samples show to everybody.
var published = map[string]bool{
	"AIzaSyA4UrcGxgwQFTfaI3no3t7Lt1sjmdnP5sQ": true, "AIzaSyCkEhVjf3pduRDt6d1yKOMitrUEke8agEM": true, "AIzaSyD3asb-2pEZVqMkmL6M9N6nHZRR_znhrh0": true,
	"AIzaSyB8qGxt4ec15vitgn44duC5ucxaOi4FmqE": true, "AIzaSyBcE-OOIbhjyR83gm4r2MFCu4MJmprNXsw": true, "AKIAIOSFODNN7EXAMPLE": true,
	"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY": true,
}

// isCutOff reports whether a value begins as a provider's key and is too short
// for one.
func isCutOff(w []byte) bool {
	for _, k := range keysBy[w[0]] {
		if len(k.prefix) >= 5 && hasPrefix(w, k.prefix) && len(w)-len(k.prefix) < k.min*3/4 {
			return true
		}
	}
	return false
}

// isExample: the sequences that examples are made of.
func isExample(r []byte) bool {
	return isAlphabet(r) || bytes.Contains(r, []byte("abc123")) || bytes.Contains(r, []byte("1234567890")) || bytes.Contains(r, []byte("EXAMPLE"))
}

// isMixed: digits, capitals and small letters, so that it is no name.
func isMixed(r []byte) bool {
	k := uint8(0)
	for _, c := range r {
		k |= kinds[c]
	}
	return k == digitKind|upperKind|lowerKind
}

// isSlack: numbers before the random part.
func isSlack(r []byte) bool { return isDigit(r[0]) && !hasPrefix(r, "1234-1234") }

// isAnthropic: AA ends them.
func isAnthropic(r []byte) bool { return hasPrefix(r[len(r)-2:], "AA") }

// isAuthress: acc in its third part.
func isAuthress(r []byte) bool {
	return strings.Contains(string(r), ".acc_") || strings.Contains(string(r), ".acc-")
}

// keysBy finds the keys by their first two letters.
var keysBy = func() (t [256][]*key) {
	for i := range keys {
		k := &keys[i]
		k.set = keySet[k.chars]
		t[k.prefix[0]] = append(t[k.prefix[0]], k)
	}
	return t
}()

// keyPairs are the first two bytes of the keys, and of tokens: most words
// begin with others.
var keyPairs = func() (t [1 << 10]uint64) {
	add := func(prefix string) {
		k := pair(prefix[0], prefix[1])
		t[k>>6] |= 1 << (k & 63)
	}
	for _, k := range keys {
		add(k.prefix)
	}
	add("eyJ")
	return t
}()

func beginsKey(a, b byte) bool {
	k := pair(a, b)
	return keyPairs[k>>6]>>(k&63)&1 != 0
}

// keySet says for each kind of characters which bytes are of it.
var keySet = func() map[string]*[256]bool {
	of := map[byte]string{
		'h': "0123456789abcdefABCDEF", 'a': "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
		'u': "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", '-': "-", '_': "_", ':': ":",
	}
	of['w'] = of['a'] + "_-"
	of['d'] = of['w'] + ".="
	of['b'] = of['w'] + "+/="
	m := map[string]*[256]bool{}
	for _, k := range keys {
		if m[k.chars] != nil {
			continue
		}
		t := &[256]bool{}
		for i := range len(k.chars) {
			for _, c := range []byte(of[k.chars[i]]) {
				t[c] = true
			}
		}
		m[k.chars] = t
	}
	return m
}()

// provider looks at a word at i, which may be a key of a provider. It returns
// its end; 0 where it is none.
func (s *scan) provider(i int) int {
	text := s.text
	if i < 0 || i+1 >= len(text) || !beginsKey(text[i], text[i+1]) || s.at(i-1) == '.' {
		return 0
	}
	if text[i] == 'e' && hasPrefix(text[i:], "eyJ") && s.want.has(idJWT) {
		if e := s.token(i); e > 0 {
			return e
		}
	}
	if !s.want.has(idAPIKey) {
		return 0
	}
	for _, k := range keysBy[text[i]] {
		if len(text)-i < len(k.prefix) || string(text[i:i+len(k.prefix)]) != k.prefix {
			continue
		}
		set := k.set
		from := i + len(k.prefix)
		j := from
		for j < len(text) && j-from <= k.max && set[text[j]] {
			j++
		}
		s.touch(i, j)
		// A . or = at the end is the sentence's.
		end := j
		for end > from && (text[end-1] == '.' || text[end-1] == '=' && k.chars == dotChars && end-from > k.min) {
			end--
		}
		rest := text[from:end]
		if len(rest) < k.min || len(rest) > k.max || end == j && j < len(text) && isAlnum(text[j]) {
			continue
		}
		if !hasDigits(rest) && k.max > 16 || isRegular(rest) || isExample(rest) || k.check != nil && !k.check(rest) {
			continue
		}
		if published[string(text[i:end])] {
			return end
		}
		score := 0.9
		if k.prefix[0] == 'g' && len(rest) == 36 && isGitHub(rest) {
			score = 1
		}
		s.add(i, end, idAPIKey, score)
		return end
	}
	return 0
}

// isRegular: what repeats itself is an example and no key.
func isRegular(r []byte) bool {
	longest, run := 0, 0
	for i := 1; i < len(r); i++ {
		if r[i] == r[i-1] {
			run++
			longest = max(longest, run)
		} else {
			run = 0
		}
	}
	return longest >= 8 || len(r) >= 16 && randomness(r) < 2.5
}

// isGitHub: the last six characters are the CRC-32 of the others in base 62.
func isGitHub(rest []byte) bool {
	const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	sum := crc32.ChecksumIEEE(rest[:30])
	for i := 35; i >= 30; i-- {
		if rest[i] != alphabet[sum%62] {
			return false
		}
		sum /= 62
	}
	return true
}
