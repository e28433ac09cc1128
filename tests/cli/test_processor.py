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
def test_auto_is_bfloat16_where_the_processor_has_it(cpuinfo, text, known):
    assert processor.dtype_policy("auto") == "float32"  # without a file
    cpuinfo.write_text(text.format(known))
    expected = "mixed_bfloat16" if known else "float32"
    assert processor.dtype_policy("auto") == expected
    assert processor.dtype_policy("float64") == "float64"


@pytest.mark.parametrize(
    "capabilities, expected",
    [
        ([(8, 0)], "mixed_bfloat16"),
        ([(9, 0), (7, 5)], "float32"),
        ([None], "float32"),
    ],
)
def test_auto_is_bfloat16_where_all_gpus_have_it(
    cpuinfo, monkeypatch, capabilities, expected
):
    cpuinfo.write_text(X86.format(" avx512_bf16"))
    config = processor.tf.config
    monkeypatch.setattr(
        config, "list_physical_devices", lambda kind: capabilities
    )
    monkeypatch.setattr(
        config.experimental,
        "get_device_details",
        lambda each: {"compute_capability": each} if each else {},
    )
    assert processor.dtype_policy("auto") == expected


def test_name_of_the_processor(cpuinfo):
    cpuinfo.write_text(X86.format(""))
    assert processor.name() == "Some CPU"
    cpuinfo.unlink()
    assert processor.name()
