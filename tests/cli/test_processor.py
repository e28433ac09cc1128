from keras_csc_cli import processor

import pytest

X86 = "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu avx512f{}\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd{}\n"


@pytest.fixture
def cpuinfo(tmp_path, monkeypatch):
    path = tmp_path / "cpuinfo"
    monkeypatch.setattr(processor, "CPUINFO", path)
    monkeypatch.setattr(
        processor.tf.config, "list_physical_devices", lambda kind: []
    )
    return path


@pytest.mark.parametrize("text", [X86, ARM])
@pytest.mark.parametrize("known", ["", " avx512_bf16", " amx_bf16", " bf16"])
def test_hint_is_for_processors_that_emulate_bfloat16(cpuinfo, text, known):
    cpuinfo.write_text(text.format(known))
    hint = processor.hint("mixed_bfloat16")
    assert bool(hint) == (not known)
    assert not hint or "--dtype_policy=float32" in hint
    assert processor.hint("float32") is None


def test_no_hint_with_a_gpu_or_where_nothing_is_known(cpuinfo, monkeypatch):
    assert processor.hint("mixed_bfloat16") is None
    cpuinfo.write_text(X86.format(""))
    monkeypatch.setattr(
        processor.tf.config, "list_physical_devices", lambda kind: [kind]
    )
    assert processor.hint("mixed_bfloat16") is None


def test_name_of_the_processor(cpuinfo):
    cpuinfo.write_text(X86.format(""))
    assert processor.name() == "Some CPU"
    cpuinfo.unlink()
    assert processor.name()
