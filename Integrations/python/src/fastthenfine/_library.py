"""ftf.h by ctypes: calls leave the interpreter's lock, so that other threads go on."""
import ctypes
import os
import pathlib
from ctypes import POINTER, c_char_p, c_double, c_float, c_int, c_int64, c_long, c_size_t, c_uint8, c_void_p

_path = os.environ.get("FTF_LIBRARY") or str(pathlib.Path(__file__).with_name("libftf.so"))
try:
    lib = ctypes.CDLL(_path)
except OSError as error:
    raise ImportError(f"{_path}: {error}; make wheel builds it, and FTF_LIBRARY names one that lies elsewhere") from None

ABI = 1
OK = 0
Handle = c_void_p


class ModelFacts(ctypes.Structure):
    _fields_ = [(n, c_char_p) for n in ("name", "path", "level")] + [(n, c_size_t) for n in ("dimension", "grid", "patches", "words", "threads")]


class Picture(ctypes.Structure):
    _fields_ = [("path", c_char_p), ("encoded", c_void_p), ("pixels", c_void_p)] + [(n, c_size_t) for n in ("bytes", "width", "height")]


class IndexFacts(ctypes.Structure):
    _fields_ = [(n, c_char_p) for n in ("path", "model_name", "model_path")] + [(n, c_size_t) for n in ("images", "dimension", "grid")] + [
        ("has_patches", c_int), ("is_stale", c_int)]


class Part(ctypes.Structure):
    _fields_ = [("text", c_char_p), ("picture", POINTER(Picture)), ("vector", c_void_p), ("item", c_int64), ("weight", c_float)]


class SearchOptions(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t), ("top", c_size_t), ("offset", c_size_t), ("filter", c_char_p), ("box", POINTER(c_double)), ("near", POINTER(c_double)),
        ("minimum_probability", c_double), ("seconds", c_double), ("recall_only", c_int), ("all_windows", c_int), ("mode", c_char_p),
        ("candidates", c_long), ("tau", c_float), ("beta", c_float), ("lambda_", c_float), ("hubness", c_float)]

    def __init__(self):
        super().__init__(ctypes.sizeof(SearchOptions), 10, candidates=-1, tau=-1, beta=-1, lambda_=-1, hubness=-1)


class Result(ctypes.Structure):
    _fields_ = [
        ("id", c_int64), ("rank", c_size_t), ("path", c_char_p), ("score", c_float), ("recall_score", c_float), ("recall_rank", c_size_t),
        ("probability", c_double), ("attributes", c_char_p), ("geometry", c_char_p), ("window", c_size_t * 4), ("attention", POINTER(c_float))]


class Times(ctypes.Structure):
    _fields_ = [(n, c_double) for n in ("encode", "recall", "rerank", "nothing_fits")]


class Pixels(ctypes.Structure):
    _fields_ = [("pixels", POINTER(c_uint8)), ("width", c_size_t), ("height", c_size_t)]


SUMMARY = ("indexed", "unchanged", "failed", "known_bad", "set_aside", "windows", "empty_windows", "moved", "removed", "unseen")


class IndexSummary(ctypes.Structure):
    _fields_ = [(n, c_size_t) for n in SUMMARY] + [("is_cancelled", c_int)]


class IndexOptions(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t), ("views", c_int), ("rereading", c_int), ("shard", c_size_t), ("shards", c_size_t), ("ground", c_double),
        ("overlap", c_double), ("patches", c_int)]

    def __init__(self):
        super().__init__(ctypes.sizeof(IndexOptions), ground=-1, overlap=-1)


Failed = ctypes.CFUNCTYPE(None, c_void_p, c_size_t, c_int, c_char_p)
Progress = ctypes.CFUNCTYPE(c_int, c_void_p, c_int, c_size_t, c_char_p)
_texts = POINTER(c_char_p)
_doubles = POINTER(c_double)


def _declare(name, result, *arguments):
    function = getattr(lib, name)
    function.restype, function.argtypes = result, arguments


_declare("ftf_abi", c_int)
_declare("ftf_version", c_char_p)
_declare("ftf_error", c_char_p)
_declare("ftf_status_name", c_char_p, c_int)
_declare("ftf_model_open", c_int, c_char_p, c_char_p, c_int, POINTER(Handle))
_declare("ftf_model_close", None, Handle)
_declare("ftf_model_describe", ModelFacts, Handle)
_declare("ftf_encode_pictures", c_int, Handle, POINTER(Picture), c_size_t, c_int, c_void_p, c_void_p, Failed, c_void_p)
_declare("ftf_encode_texts", c_int, Handle, _texts, c_size_t, c_void_p, c_void_p, POINTER(c_size_t))
_declare("ftf_index_open", c_int, c_char_p, Handle, POINTER(Handle))
_declare("ftf_index_close", None, Handle)
_declare("ftf_index_refresh", c_int, Handle, POINTER(c_int))
_declare("ftf_index_describe", IndexFacts, Handle)
_declare("ftf_search", c_int, Handle, POINTER(Part), c_size_t, POINTER(SearchOptions), POINTER(Handle))
_declare("ftf_rerank", c_int, Handle, c_char_p, c_void_p, c_size_t, POINTER(SearchOptions), POINTER(Handle))
_declare("ftf_index_items", c_int, Handle, c_int64, c_size_t, POINTER(Handle))
_declare("ftf_answer_count", c_size_t, Handle)
_declare("ftf_answer_at", POINTER(Result), Handle, c_size_t)
_declare("ftf_answer_times", Times, Handle)
_declare("ftf_answer_free", None, Handle)
_declare("ftf_index_picture", c_int, Handle, c_int64, c_char_p, POINTER(Pixels))
_declare("ftf_pixels_free", None, POINTER(Pixels))
_declare("ftf_vectors_open", c_int, c_char_p, c_char_p, _doubles, _doubles, c_int, POINTER(Handle))
_declare("ftf_vectors_close", None, Handle)
_declare("ftf_vectors_count", c_size_t, Handle)
_declare("ftf_vectors_dimension", c_size_t, Handle)
_declare("ftf_vectors_nearest", c_int, Handle, c_void_p, c_size_t, c_size_t, c_void_p, c_void_p)
_declare("ftf_index_add", c_int, c_char_p, Handle, _texts, c_size_t, POINTER(IndexOptions), Progress, c_void_p, POINTER(IndexSummary))
_declare("ftf_index_merge", c_int, c_char_p, _texts, c_size_t, POINTER(c_size_t))
_declare("ftf_index_set_attributes", c_int, c_char_p, _texts, _texts, c_size_t, POINTER(c_size_t))

if lib.ftf_abi() != ABI:
    raise ImportError(f"{_path}: has interface {lib.ftf_abi()}, this package speaks {ABI}; install both anew")
